"""Distances between points."""

from __future__ import annotations

from dimecli.lazy import torch


def squared_distances(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """`(n, m)`: `|a_i - b_j|^2` of `(n, l)` and `(m, l)` points, by one product of matrices."""
    return (a.square().sum(1)[:, None] + b.square().sum(1) - 2 * a @ b.T).clamp_min(0)
