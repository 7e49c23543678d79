"""Moves within the region of the codes: on the unit sphere, or in the box that holds flat ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F

from dimecli.plugin import Space


def project(z: torch.Tensor) -> torch.Tensor:
    """`(n, l)` points divided by their length: the nearest ones of the unit sphere."""
    return F.normalize(z, dim=1)


def tangent(z: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """The parts of `(n, l)` vectors that are tangent to the sphere at `(n, l)` unit codes, `v - (v . z) z`."""
    return v - (v * z).sum(1, keepdim=True) * z


def retract(z: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """From `(n, l)` unit codes along tangent vectors, then back onto the sphere: `(z + v) / |z + v|`."""
    return project(z + v)


def jitter(z: torch.Tensor, angle: torch.Tensor | float, rng: torch.Generator) -> torch.Tensor:
    """`(n, l)` unit codes moved along great circles in uniformly random directions.

    Args:
        z: Unit codes.
        angle: Radians, one for all or `(n, 1)`.
        rng: Source of the directions.
    """
    direction = project(tangent(z, torch.randn(z.shape, generator=rng, dtype=z.dtype)))
    angle = torch.as_tensor(angle, dtype=z.dtype)
    return angle.cos() * z + angle.sin() * direction


def slerp(a: torch.Tensor, b: torch.Tensor, t: torch.Tensor | float) -> torch.Tensor:
    """`(n, l)` codes at the share t, one for all or `(n, 1)`, of the great circles from unit codes a to b."""
    angle = torch.atan2((a - b).norm(dim=1, keepdim=True), (a + b).norm(dim=1, keepdim=True)) * 2
    direction = project(tangent(a, b))
    return (t * angle).cos() * a + (t * angle).sin() * direction


class Region(Protocol):
    """Where codes may be, and how to move there. Lengths are those on the unit sphere, in radians."""

    def jitter(self, z: torch.Tensor, size: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        """`(n, l)` codes moved by `(n, 1)` lengths in random directions."""

    def between(self, a: torch.Tensor, b: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        """`(n, l)` codes at the shares `(n, 1)` of the way from a to b."""

    def uphill(self, z: torch.Tensor, gradient: torch.Tensor) -> torch.Tensor:
        """`(n, l)` directions of ascent for the gradients there, of length 1; 0 where there is none."""

    def move(self, z: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        """`(n, l)` codes moved by `(n, l)` vectors, and back into the region."""


@dataclass(frozen=True)
class Sphere:
    """The unit sphere; a `Region`."""

    def jitter(self, z: torch.Tensor, size: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        """Along great circles in uniformly random directions."""
        return jitter(z, size, rng)

    def between(self, a: torch.Tensor, b: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        """On the great circle from a to b."""
        return slerp(a, b, t)

    def uphill(self, z: torch.Tensor, gradient: torch.Tensor) -> torch.Tensor:
        """The tangent part of the gradient."""
        return project(tangent(z, gradient))

    def move(self, z: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        """By retraction."""
        return retract(z, v)


@dataclass(frozen=True, eq=False)
class Box:
    """The box that holds the codes of training; a `Region`.

    A length of 1 is the root mean square of their distance to the mean, spread over the dimensions as
    their standard deviations are.
    """

    lower: torch.Tensor  # (l,)
    upper: torch.Tensor  # (l,)
    scale: torch.Tensor  # (l,)

    @classmethod
    def of(cls, codes: torch.Tensor) -> Box:
        """The box of `(N, l)` codes."""
        return cls(codes.amin(0), codes.amax(0), codes.std(0, correction=0) * codes.shape[1] ** 0.5)

    def jitter(self, z: torch.Tensor, size: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        """In uniformly random directions of the scaled codes."""
        return self.move(z, size * self.scale * project(torch.randn(z.shape, generator=rng, dtype=z.dtype)))

    def between(self, a: torch.Tensor, b: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        """On the line from a to b."""
        return a + t * (b - a)

    def uphill(self, z: torch.Tensor, gradient: torch.Tensor) -> torch.Tensor:
        """The gradient in the scaled codes, without what leads out of the box."""
        leaves = ((z <= self.lower) & (gradient < 0)) | ((z >= self.upper) & (gradient > 0))
        return self.scale * project(self.scale * gradient.masked_fill(leaves, 0))

    def move(self, z: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        """As far as the box reaches in every dimension."""
        return (z + v).clamp(self.lower, self.upper)


def region(space: Space) -> Region:
    """Where the codes of a space may be."""
    return Sphere() if space.latent_space == "sphere" else Box.of(space.codes)


def refine(
    acquisition: Callable[[torch.Tensor], torch.Tensor], z: torch.Tensor, space: Space, steps: int, lr: float = 0.1
) -> torch.Tensor:
    """`(n, l)` codes of larger acquisition, by gradient ascent from each of `(n, l)` codes on its own.

    A step goes along the tangent part of the gradient and is retracted onto the sphere (Absil, Mahony and
    Sepulchre, 2008); in a flat space it stays within the box of the codes. It is taken only
    if it improves; its length then grows by half, and else shrinks to half.

    Args:
        acquisition: Gives `(n,)` differentiable values of `(n, l)` codes, each of its own code alone.
        z: Where to start, within the region.
        space: Says what the region is.
        steps: Evaluations of the acquisition.
        lr: Length of the first step: radians on the sphere, or that share of the spread of flat codes.
    """
    inside = region(space)
    value, direction = _climb(acquisition, z, inside)
    length = torch.full_like(z[:, :1], lr)
    for _ in range(steps):
        moved = inside.move(z, length * direction)
        moved_value, moved_direction = _climb(acquisition, moved, inside)
        better = (moved_value > value)[:, None]
        z, value = torch.where(better, moved, z), torch.where(better[:, 0], moved_value, value)
        direction = torch.where(better, moved_direction, direction)
        length = length * torch.where(better, 1.5, 0.5)
    return z


def _climb(
    acquisition: Callable[[torch.Tensor], torch.Tensor], z: torch.Tensor, inside: Region
) -> tuple[torch.Tensor, torch.Tensor]:
    """The acquisition at codes, and where it goes up."""
    with torch.enable_grad():
        z = z.detach().requires_grad_()
        value = acquisition(z)
        (gradient,) = torch.autograd.grad(value.sum(), z)
    return value.detach(), inside.uphill(z.detach(), gradient)
