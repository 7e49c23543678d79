"""What kernels on codes need: distances, and the scales that make them comparable."""

from __future__ import annotations

from typing import Literal

import torch

Kernel = Literal["rbf", "ard"]


def squared_distances(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """`(n, m)` squared distances between `(n, l)` and `(m, l)` points, by one product of matrices."""
    return (a.square().sum(1)[:, None] + b.square().sum(1) - 2 * a @ b.T).clamp(min=0)


def correlation(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """`(n, m)` values of `exp(-|a - b|^2 / 2)`."""
    return (-0.5 * squared_distances(a, b)).exp()


def distance_scale(codes: torch.Tensor, kernel: Kernel) -> torch.Tensor:
    """What `(n, l)` codes are divided by for their distances to have root mean square 1.

    One number, `(1,)`, or for relevance determination one for each dimension, `(l,)`, all of which then
    count alike. It is 1 where all codes are the same.
    """
    variance = codes.var(0, correction=0)
    scale = (2 * len(variance) * variance).sqrt() if kernel == "ard" else (2 * variance.sum()).sqrt()[None]
    return torch.where(scale > 1e-9, scale, 1.0)


def standardisation(values: torch.Tensor) -> tuple[float, float]:
    """Mean and standard deviation of `(n,)` values; 1 for the latter where all are the same."""
    scale = values.std(correction=0).item()
    return values.mean().item(), scale if scale > 1e-9 * values.abs().max().item() else 1.0
