"""Differential entropy of codes by kernels, in nats. Importing this module imports torch."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch

from dimecli.distributions import SMALLEST_VARIANCE, HypersphereUniform
from dimecli.errors import DimeError
from dimecli.nn.distances import squared_distances
from dimecli.nn.vmf import log_partition

_WIDTHS = torch.tensor([0.02 * 1.25**k for k in range(21)], dtype=torch.float64)  # 0.02 to 1.73
_ENTRIES = 2**22  # distances that are held at once
_LEFT_OUT = 1_000  # codes that a width is judged by


@dataclass(frozen=True)
class Entropy:
    """What was found of the entropy of codes.

    Args:
        nats: The estimate: the mean of `-log p(z_i)` under kernels around all other codes.
        most: The most that any law has which can be compared: the uniform one on the sphere, else the Gaussian
            with the covariance of the codes.
        narrowest: Whether the best kernels are the narrowest that were tried, so that narrower ones may be better.
    """

    nats: float
    most: float
    narrowest: bool


def distinct(x: torch.Tensor) -> torch.Tensor:
    """`(m,)` ascending indices of the first of all rows of `(N, *shape)` data that are the same."""
    rows = x.flatten(1).contiguous().numpy()
    first = {row.tobytes(): index for index, row in reversed(list(enumerate(rows)))}
    return torch.tensor(sorted(first.values()))


def entropy(codes: torch.Tensor, rng: torch.Generator) -> Entropy:
    """Of `(N, l)` codes, with Gaussian kernels of the covariance `h^2 S`, S that of the codes.

    The width h is the one, of 21 from 0.02 to 1.73, under which 1,000 codes drawn by `rng` are most likely.

    Raises:
        DimeError: the codes lie in a plane, where they have no density.
    """
    codes = codes.double()
    codes = codes - codes.mean(0)
    count, size = codes.shape
    covariance = codes.T @ codes / count
    variances, directions = torch.linalg.eigh(covariance)
    rank = int((variances > SMALLEST_VARIANCE * variances.mean()).sum())
    if rank < size:
        raise DimeError(f"the {count} codes vary along {rank} of {size} directions alone, so that they have no density")
    half_log_det = variances.log().sum().item() / 2
    half_log_volume = size / 2 * math.log(2 * math.pi)
    nats, narrowest = _leave_one_out(
        codes @ directions / variances.sqrt(), _WIDTHS**-2, lambda kappa: half_log_volume - size / 2 * kappa.log(), rng
    )
    return Entropy(nats + half_log_det, half_log_volume + size / 2 + half_log_det, narrowest)


def entropy_on_sphere(codes: torch.Tensor, rng: torch.Generator) -> Entropy:
    """Of `(N, l)` unit vectors, per surface area, with von Mises-Fisher kernels.

    The concentration is the one, of 21 from 1/3 to 2500 and 0, which is the uniform law, under which 1,000 codes
    drawn by `rng` are most likely.
    """
    size = codes.shape[1]
    log_area = -HypersphereUniform(size).log_prob(codes[:1].double()).item()
    concentrations = torch.cat([_WIDTHS**-2, torch.zeros(1, dtype=torch.float64)])
    nats, narrowest = _leave_one_out(
        codes.double(), concentrations, lambda kappa: log_area + log_partition(kappa, size)[0] - kappa, rng
    )
    return Entropy(nats, log_area, narrowest)


def _leave_one_out(
    points: torch.Tensor,
    concentrations: torch.Tensor,
    log_normaliser: Callable[[torch.Tensor], torch.Tensor],
    rng: torch.Generator,
) -> tuple[float, bool]:
    """The mean of `-log mean_{j != i} K(z_i, z_j)` in nats, and whether K has the first of the concentrations.

    `K(a, b) = exp(-kappa |a - b|^2 / 2 - log_normaliser(kappa))` is both a Gaussian of variance 1 / kappa and
    a von Mises-Fisher law, of points on the sphere.
    """
    count = len(points)
    log_normalisers = log_normaliser(concentrations) + math.log(count - 1)
    some = torch.randperm(count, generator=rng)[:_LEFT_OUT]
    best = int((_log_kernels(points, some, concentrations) - len(some) * log_normalisers).argmax())
    total = _log_kernels(points, torch.arange(count), concentrations[best : best + 1])
    return (log_normalisers[best] - total / count).item(), best == 0


def _log_kernels(points: torch.Tensor, left_out: torch.Tensor, concentrations: torch.Tensor) -> torch.Tensor:
    """`(K,)` sums over the points left out of `log sum_{j != i} exp(-kappa_k |z_i - z_j|^2 / 2)`."""
    total = torch.zeros_like(concentrations)
    for rows in left_out.split(max(1, _ENTRIES // len(points))):
        halves = squared_distances(points[rows], points) / -2
        for k, kappa in enumerate(concentrations):
            exponents = kappa * halves
            exponents[torch.arange(len(rows)), rows] = -math.inf
            total[k] += exponents.logsumexp(1).sum()
    return total
