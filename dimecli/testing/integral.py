"""Integrals of densities of two-dimensional codes."""

from __future__ import annotations

import math
from dataclasses import dataclass

from dimecli.lazy import torch
from dimecli.plugin import Fitted

_ANGLES = 2048
_POINTS = 8192
_WIDTHS = (0.01, 0.1, 0.4, 1.5)  # of kernels, as shares of the spread of what they are around: the last one for tails


@dataclass(frozen=True)
class Integral:
    """A density at some points, weighted by how seldom they are.

    Attributes:
        points: `(m, 2)`.
        log_prob: `(m,)` nats, the density.
        weights: `(m,)`: the density over that of the points; their mean is its integral.
        random: Whether the points are, so that the integral has an error that is worth a word.
    """

    points: torch.Tensor
    log_prob: torch.Tensor
    weights: torch.Tensor
    random: bool

    @property
    def total(self) -> float:
        """What the density integrates to."""
        return self.weights.mean().item()

    @property
    def error(self) -> float:
        """The standard error of `total`; 0 where the points are not random."""
        return (self.weights.std() / math.sqrt(len(self.weights))).item() if self.random else 0.0

    @property
    def median(self) -> float:
        """The log-density that half of the mass exceeds."""
        order = self.log_prob.argsort()
        below = self.weights[order].cumsum(0) < self.weights.sum() / 2
        return self.log_prob[order][int(below.sum().clamp(max=len(order) - 1))].item()

    def mean(self, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Expectations of `(m, k)` values under the normalised density, and the variances of these estimates."""
        shares = (self.weights / self.weights.sum())[:, None]
        mean = (shares * values).sum(0)
        variance = (shares.square() * (values - mean).square()).sum(0)
        return mean, variance if self.random else torch.zeros_like(variance)


def over_circle(fitted: Fitted) -> Integral:
    """Over the unit circle, at points all around it."""
    angle = 2 * math.pi * torch.arange(_ANGLES, dtype=torch.float64) / _ANGLES
    points = torch.stack([angle.cos(), angle.sin()], 1).float()
    log_prob = fitted.log_prob(points).double()
    return Integral(points, log_prob, 2 * math.pi * log_prob.exp(), random=False)


def over_plane(fitted: Fitted, around: torch.Tensor, rng: torch.Generator) -> Integral:
    """Over the plane, at draws from a mixture of narrow and wide Gaussians around `(k, 2)` points."""
    centres = around.double()
    widths = centres.var(0).mean().sqrt() * torch.tensor(_WIDTHS, dtype=torch.float64)
    chosen = torch.randint(len(centres), (_POINTS,), generator=rng)
    width = widths[torch.arange(_POINTS) % len(widths)]
    noise = torch.randn(_POINTS, 2, generator=rng, dtype=torch.float64)
    points = (centres[chosen] + width[:, None] * noise).float()
    squares = torch.cdist(points.double(), centres).square()  # (m, k)
    kernels = [(squares / (-2 * w * w)).logsumexp(1) - (2 * math.pi * w * w).log() for w in widths]
    log_proposal = torch.stack(kernels).logsumexp(0) - math.log(len(widths) * len(centres))
    log_prob = fitted.log_prob(points).double()
    return Integral(points, log_prob, (log_prob - log_proposal).exp(), random=True)
