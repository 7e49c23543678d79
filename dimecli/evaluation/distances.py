"""Distances between two sets of features. Importing this module imports torch."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn

from dimecli.errors import UserError
from dimecli.evaluation.features import Extractor, compared, features
from dimecli.evaluation.subject import Subject
from dimecli.plugin import Measured

_FLOOR = "The floor: n real training samples; of fewer the distance would be larger, of more smaller."


def frechet(a: torch.Tensor, b: torch.Tensor) -> float:
    """`|m_a - m_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^(1/2))` of `(n, d)`, `(m, d)` features (Heusel et al. 2017, eq. 6).

    Raises:
        UserError: one of them has fewer than 2 rows.
    """
    from torchmetrics.image.fid import FrechetInceptionDistance

    _check(a, b)
    origin = b.double().mean(0)  # the library subtracts squares of means, which far from 0 leaves nothing
    distance = FrechetInceptionDistance(_Identity(a.shape[1]))
    distance.update(a.double() - origin, real=True)
    distance.update(b.double() - origin, real=False)
    return max(0.0, distance.compute().item())  # rounding of eigenvalues takes equal sets below 0


def kernel_distance(
    a: torch.Tensor, b: torch.Tensor, rng: torch.Generator, subsets: int, subset_size: int
) -> tuple[float, float]:
    """The unbiased MMD^2 of features under `k(x, y) = (x . y / d + 1)^3` (Bińkowski et al. 2018, section 4).

    Args:
        a: `(n, d)` features.
        b: `(m, d)` features.
        rng: Source of the subsets.
        subsets: How many are drawn from each.
        subset_size: Their size, at most n and m.

    Returns:
        The mean over the subsets, negative about half of the time where the laws are the same, and the
        standard deviation over them.

    Raises:
        UserError: one of the sets has fewer than 2 rows.
    """
    from torchmetrics.image.kid import poly_mmd

    _check(a, b)
    a, b = a.double(), b.double()  # the kernel's values are large, their differences small

    def drawn(x: torch.Tensor) -> torch.Tensor:
        return x[torch.randperm(len(x), generator=rng)[:subset_size]]

    values = torch.stack([poly_mmd(drawn(a), drawn(b)) for _ in range(subsets)])
    return values.mean().item(), values.std(correction=0).item()


def frechet_distances(metric: str, subject: Subject, extractor: Extractor) -> Iterator[Measured]:
    """The Fréchet distances of all that is compared with the data, as numbers of a metric."""
    reference = features(subject, extractor, "data")
    _check(reference, reference)
    sets = list(compared(subject, extractor))
    floor = next((found for part, found, _ in sets if part == "floor"), reference[:0])
    order = torch.randperm(len(floor), generator=subject.rng(f"{metric} floor"))
    for part, found, conditions in sets:
        n, needed = min(len(found), len(reference)), reference.shape[1] + 1
        remark = _FLOOR if part == "floor" else ""
        if n < needed:
            remark = f"Mostly bias: {n} samples are too few to tell the covariance of {needed - 1} features."
        elif len(found) < len(floor):
            remark = f"As many real training samples get {frechet(floor[order[: len(found)]], reference):.4g}."
        yield Measured(
            f"{metric}[{extractor.name}]/{part}",
            frechet(found, reference),
            None if part == "floor" else "lower",
            conditions=conditions,
            remark=remark,
        )


def kernel_distances(
    metric: str, subject: Subject, extractor: Extractor, subsets: int, subset_size: int
) -> Iterator[Measured]:
    """The kernel distances of all that is compared with the data, as numbers of a metric."""
    reference = features(subject, extractor, "data")
    for part, found, conditions in compared(subject, extractor):
        size = max(2, min(subset_size, len(found) // 2, len(reference) // 2))  # larger ones would be nearly the same
        mean, std = kernel_distance(found, reference, subject.rng(f"{metric} subsets of {part}"), subsets, size)
        yield Measured(
            f"{metric}[{extractor.name}]/{part}",
            mean,
            None if part == "floor" else "lower",
            conditions={**conditions, "subsets": subsets, "subset_size": size},
            remark=f"Standard deviation over the subsets: {std:.3g}.",
        )


class _Identity(nn.Module):
    """Features as they are, for a library that wants a network."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


def _check(a: torch.Tensor, b: torch.Tensor) -> None:
    if min(len(a), len(b)) < 2:
        raise UserError(f"-n: got {len(a)} samples to compare with {len(b)}; allowed: 2 or more of each")
