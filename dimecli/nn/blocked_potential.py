"""The pairwise Gaussian potential in blocks of rows. Importing this module imports torch."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch.autograd.function import once_differentiable

_ENTRIES = 2**21  # of the square matrix that are held at once


class BlockedLogPotential(torch.autograd.Function):
    """`log mean_{i != j} exp(-gamma |z_i - z_j|^2)` of `(B, l)` codes in memory that B does not square.

    Backward computes the blocks again: with `p_ij = exp(-gamma |z_i - z_j|^2) / sum`, the share of an
    ordered pair, row i of the gradient is `-4 gamma sum_j p_ij (z_i - z_j)`.
    """

    @staticmethod
    def forward(ctx: Any, z: torch.Tensor, gamma: float) -> torch.Tensor:
        """A scalar in nats."""
        sums = torch.empty_like(z[:, 0])  # results that came up between blocks would break the heap into pieces
        for rows, block in _exponents(z, gamma):
            sums[rows] = block.logsumexp(1)
        total = sums.logsumexp(0)
        ctx.save_for_backward(z, total)
        ctx.gamma = gamma
        return total - math.log(len(z) * (len(z) - 1))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None]:
        """The gradient of the codes."""
        z, total = ctx.saved_tensors
        pull = torch.empty_like(z)
        for rows, block in _exponents(z, ctx.gamma):
            shares = block.sub_(total).exp_()
            pull[rows] = shares.sum(1, keepdim=True) * z[rows] - shares @ z
        return -4 * ctx.gamma * gradients[0] * pull, None


def _exponents(z: torch.Tensor, gamma: float) -> Iterator[tuple[slice, torch.Tensor]]:
    """Slices of rows and their `-gamma |z_i - z_j|^2` with all codes, minus infinity on the diagonal."""
    squares = -gamma * z.square().sum(1)
    step = max(1, _ENTRIES // len(z))
    for start in range(0, len(z), step):
        rows = slice(start, min(start + step, len(z)))
        block = torch.addmm(squares, z[rows], z.T, alpha=2 * gamma)
        block.add_(squares[rows, None]).clamp_max_(0)
        block.diagonal(start).fill_(-math.inf)
        yield rows, block
