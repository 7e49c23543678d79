"""The von Mises-Fisher distribution on the unit sphere. Importing this module imports torch.

Everything is computed in float64, on the CPU where the device has none, and given in the dtype and on
the device of what came in.
"""

from __future__ import annotations

import math
from fractions import Fraction
from functools import cache
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F

from dimecli.distributions import HypersphereUniform
from dimecli.nn.distances import squared_distances

_TERMS, _LEAST_ORDER = 10, 12.0  # of Debye's expansion: an error below 1e-11 nats
_PROPOSALS = 4  # drawn at once; about two thirds are accepted in the worst case
_NODES, _REACH = 32, 9.0  # of the quadrature, and its interval in standard deviations


class VonMisesFisher(NamedTuple):
    """`q(z) = exp(kappa direction . z) / (Z(kappa) area)`, one for each row of the parameters.

    `Z = Gamma(m/2) (2 / kappa)^(m/2 - 1) I_(m/2-1)(kappa)` is the mean of `exp(kappa direction . z)` under
    the uniform distribution on the sphere in m dimensions; at kappa = 0 the two are the same.
    """

    direction: torch.Tensor  # (B, m), unit length, m >= 2
    concentration: torch.Tensor  # (B,), kappa >= 0

    def log_prob(self, z: torch.Tensor) -> torch.Tensor:
        """`(B,)` nats per surface area: the log-density of each row of `(B, m)` unit vectors under its own law."""
        direction, concentration = exact(self.direction), exact(self.concentration)
        gap = (exact(z) - direction).square().sum(1) / 2  # 1 - cosine, where rounded lengths count least
        log_z, _ = log_partition(concentration, z.shape[1])
        return HypersphereUniform(z.shape[1]).log_prob(z) + (concentration * (1 - gap) - log_z).to(z)

    def log_probs(self, z: torch.Tensor) -> torch.Tensor:
        """`(n, B)` nats per surface area, in float64: log-densities of each of `(n, m)` unit vectors under all laws."""
        z, concentration = exact(z), exact(self.concentration)
        gap = squared_distances(z, exact(self.direction)) / 2
        log_z, _ = log_partition(concentration, z.shape[1])
        return HypersphereUniform(z.shape[1]).log_prob(z)[:, None] + concentration * (1 - gap) - log_z

    def kl(self) -> torch.Tensor:
        """`(B,)` nats: the divergence from the uniform distribution, `kappa A(kappa) - log Z(kappa)`."""
        concentration = exact(self.concentration)
        log_z, mean_cosine = log_partition(concentration, self.direction.shape[1])
        return (concentration * mean_cosine - log_z).to(self.concentration)

    def sample(self, rng: torch.Generator) -> torch.Tensor:
        """`(B, m)` draws, one of each row, whose gradients reach the parameters (reparametrised, without bias)."""
        direction, concentration = exact(self.direction), exact(self.concentration)
        count, size = direction.shape
        gap = _draw_gap(concentration.detach(), size, rng)
        if concentration.requires_grad:
            slope = _cosine_slope(gap, concentration.detach(), size)
            gap = gap - slope * (concentration - concentration.detach())
        noise = exact(torch.randn(count, size - 1, generator=rng, device=rng.device)).to(direction.device)
        sine = (gap * (2 - gap)).clamp_min(1e-300).sqrt()  # has a gradient at 0, too
        z = (1 - gap)[:, None] * direction + sine[:, None] * _tangent(direction, F.normalize(noise, dim=1))
        return z.to(self.direction)


def exact(x: torch.Tensor) -> torch.Tensor:
    """The same in float64, which Apple's GPUs do not have: theirs comes to the CPU."""
    return (x.cpu() if x.device.type == "mps" else x).double()


def log_partition(concentration: torch.Tensor, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """`log Z(kappa)` in nats and the mean cosine `A(kappa) = d log Z / d kappa = I_(m/2) / I_(m/2-1)`.

    Debye's uniform expansion of the Bessel function (DLMF 10.41.3) for m + 2n dimensions, n such that
    its order is at least 12, in a form without cancellation at either end of kappa; then the
    recurrence in steps of two dimensions down to m, which is stable in this direction. Smooth, so
    that gradients of both are as exact as they are.

    Args:
        concentration: kappa >= 0 of any shape, float64.
        size: m >= 2, the dimension of the space that the sphere is in.
    """
    steps = max(0, math.ceil(_LEAST_ORDER - (size / 2 - 1)))
    order = size / 2 - 1 + steps
    x = concentration / order
    root = (1 + x * x).sqrt()
    rise = x * x / (1 + root)  # root - 1
    p = 1 / root
    coefficients = concentration.new_tensor(_debye(order))
    exponents = torch.arange(len(coefficients), device=p.device)
    powers = p[..., None] ** exponents
    series, slope = powers @ coefficients, powers[..., :-1] @ (exponents * coefficients)[1:]
    log_z = order * (rise - (rise / 2).log1p()) - rise.log1p() / 2 + (series / coefficients.sum()).log()
    mean_cosine = x * (1 / (1 + root) - p * p / (2 * order) - slope / series * p**3 / order)
    for m in range(size + 2 * steps - 2, size - 1, -2):  # each from m + 2 dimensions to m
        growth = concentration * mean_cosine / m
        log_z = log_z + growth.log1p()
        mean_cosine = concentration / (m * (1 + growth))
    return log_z, mean_cosine


def concentration_of(gap: torch.Tensor, size: int) -> torch.Tensor:
    """The kappa with `A(kappa) = 1 - gap`, the most likely one for codes whose mean has this length; gap in (0, 1].

    Newton's method from the approximation of Banerjee et al. (2005, eq. 4.4), which is good to a few per cent.
    """
    length = 1 - gap
    concentration = length * (size - length**2) / (gap * (2 - gap))
    for _ in range(5):
        with torch.enable_grad():
            trial = concentration.detach().requires_grad_()
            _, mean_cosine = log_partition(trial, size)
            (slope,) = torch.autograd.grad(mean_cosine.sum(), trial)
        concentration = concentration - (mean_cosine.detach() - length) / slope
    return concentration


@cache
def _debye(order: float) -> tuple[float, ...]:
    """Coefficients of `sum_k u_k(p) / order^k` as a polynomial in p (DLMF 10.41.9)."""
    total, term = [0.0] * (3 * _TERMS + 1), {0: Fraction(1)}
    for k in range(_TERMS + 1):
        for power, coefficient in term.items():
            total[power] += float(coefficient) * order**-k
        following: dict[int, Fraction] = {}  # p^2 (1 - p^2) u' / 2, and the integral of (1 - 5 p^2) u / 8 from 0
        for j, c in term.items():
            following[j + 1] = following.get(j + 1, Fraction(0)) + c * (Fraction(j, 2) + Fraction(1, 8 * (j + 1)))
            following[j + 3] = following.get(j + 3, Fraction(0)) - c * (Fraction(j, 2) + Fraction(5, 8 * (j + 3)))
        term = following
    return tuple(total)


def _draw_gap(concentration: torch.Tensor, size: int, rng: torch.Generator) -> torch.Tensor:
    """`(B,)` draws of 1 - w, w the cosine to the direction, by rejection (Wood, 1994) in a form without cancellation.

    Proposals are `w = (1 - (1 + b) e) / (1 - (1 - b) e)`, e ~ Beta((m-1)/2, (m-1)/2) by Ulrich's polar method.
    """
    half = size - 1
    envelope = half / (2 * concentration + (4 * concentration**2 + half**2).sqrt())  # b
    gap = torch.zeros_like(concentration)
    pending = torch.arange(len(gap), device=gap.device)
    while len(pending):
        b, kappa = envelope[pending, None], concentration[pending, None]
        draws = exact(torch.rand(3, len(pending), _PROPOSALS, generator=rng, device=rng.device)).to(gap.device)
        radius = (1 - draws[0] ** (2 / (size - 2) if size > 2 else math.inf)).sqrt()
        e = (1 + radius * (2 * math.pi * draws[1]).cos()) / 2
        divisor = 1 - (1 - b) * e
        score = 2 * kappa * b * (1 - 2 * e) / ((1 + b) * divisor) + half * ((1 + b) / (2 * divisor)).log()
        accepted = ~(score < draws[2].log())  # so written, a NaN is accepted, and the loop ends
        first = accepted.int().argmax(1, keepdim=True)
        found = accepted.any(1)
        gap[pending[found]] = (2 * b * e / divisor).gather(1, first)[found, 0]
        pending = pending[~found]
    return gap


def _cosine_slope(gap: torch.Tensor, concentration: torch.Tensor, size: int) -> torch.Tensor:
    """`(B,)` derivatives dw / dkappa of a drawn cosine w at its quantile held fixed, -dF/dkappa / q(w).

    So implicit gradients are (Figurnov et al., 2018). That of the rejection sampler's formula alone takes the
    proposals it accepted for independent of kappa, and so loses up to half of it in low dimensions.
    The integral over angles runs away from the mode, where nothing cancels.
    """
    nodes, weights = (concentration.new_tensor(part) for part in _quadrature())
    _, mean_cosine = log_partition(concentration, size)
    scale = ((size - 2) + ((size - 2) ** 2 + 4 * concentration**2).sqrt()) / 2
    scale = scale.clamp_min(1e-9)  # the least curvature at the mode; 0 on the circle at kappa = 0
    angle = 2 * (gap / 2).sqrt().clamp(1e-150, 1).asin()
    reach = torch.where(1 - gap > concentration / scale, -_REACH, _REACH) / scale.sqrt()
    end = (angle + reach).clamp(0, math.pi)
    theta = end[:, None] + (angle - end)[:, None] * (nodes + 1) / 2  # (B, nodes)
    relative = concentration[:, None] * (theta.cos() - angle.cos()[:, None])
    if size > 2:
        relative = relative + (size - 2) * (theta.sin() / angle.sin()[:, None]).log()
    integral = ((theta.cos() - mean_cosine[:, None]) * relative.exp()) @ weights
    return angle.sin() * (angle - end) / 2 * integral


@cache
def _quadrature() -> tuple[list[float], list[float]]:
    """Nodes in [-1, 1] and weights of Gauss and Legendre."""
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    return nodes.tolist(), weights.tolist()


def _tangent(direction: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """`(B, m)`: the reflection that takes the first axis to +-direction, of `(B, m - 1)` vectors orthogonal to it.

    The sign is the one for which the two are never close, so that no direction is singular.
    """
    first, others = direction[:, :1], direction[:, 1:]
    product = (v * others).sum(1, keepdim=True)
    return torch.cat([-product * torch.where(first < 0, -1.0, 1.0), v - product / (1 + first.abs()) * others], dim=1)
