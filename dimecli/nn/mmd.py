"""The maximum mean discrepancy between two samples."""

from __future__ import annotations

from typing import Literal

from dimecli.lazy import torch
from dimecli.nn.distances import squared_distances

Kernel = Literal["imq", "rbf"]

SCALES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


def mmd(x: torch.Tensor, y: torch.Tensor, kernel: Kernel, spread: float) -> torch.Tensor:
    """Unbiased estimate of `MMD^2 = E k(x, x') + E k(y, y') - 2 E k(x, y)`, a scalar (Gretton et al., 2012, eq. 3).

    Pairs of a point with itself are left out of the first two means; the third has every pair. So the
    estimate scatters about 0 where the laws are the same, and is negative about half of the time: it
    must not be clamped, nor its logarithm taken.

    Args:
        x: `(n, l)` codes, n >= 2.
        y: `(m, l)` draws from the prior, m >= 2.
        kernel: `imq`, the sum of `C / (C + |a - b|^2)` over `C = s spread` for the seven s of `SCALES`; or
            `rbf`, `exp(-|a - b|^2 / (2 w))`, whose w is the median of `|x - y|^2`, a constant to gradients.
        spread: Expected squared distance of two draws from the prior.

    Raises:
        ValueError: n or m is less than 2.
    """
    if min(len(x), len(y)) < 2:
        raise ValueError(f"the discrepancy takes a batch of at least 2 samples, got {min(len(x), len(y))}")
    pairs = squared_distances(x, x), squared_distances(y, y), squared_distances(x, y)
    if kernel == "rbf":
        width = pairs[2].detach().median()
        within_x, within_y, between = (torch.exp(-squares / (2 * width)) for squares in pairs)
    else:
        from dimecli.nn.multiquadratic import InverseMultiquadratic

        constants = [scale * spread for scale in SCALES]
        within_x, within_y, between = (InverseMultiquadratic.apply(squares, constants) for squares in pairs)
    return _mean_off_diagonal(within_x) + _mean_off_diagonal(within_y) - 2 * between.mean()


def _mean_off_diagonal(square: torch.Tensor) -> torch.Tensor:
    count = len(square)
    return (square.sum() - square.diagonal().sum()) / (count * (count - 1))
