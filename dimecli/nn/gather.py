"""All-gather as a differentiable operation, by public collectives only."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch.autograd.function import once_differentiable


class Gather(torch.autograd.Function):
    """Concatenates the rows of all processes; backward sums what every process wants of a row.

    Every process must hand in the same shape.
    """

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        """`(B, ...)` to `(W B, ...)`."""
        x = x.contiguous()
        parts = [torch.empty_like(x) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, x)
        return torch.cat(parts)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: torch.Tensor) -> torch.Tensor:
        """The sum over processes of this process's rows of `(W B, ...)` gradients."""
        total = gradients[0].contiguous().clone()
        dist.all_reduce(total)
        return total.chunk(dist.get_world_size())[dist.get_rank()]
