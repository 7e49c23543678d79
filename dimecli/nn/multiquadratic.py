"""A sum of inverse multiquadratic kernels as one differentiable operation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.autograd.function import once_differentiable


class InverseMultiquadratic(torch.autograd.Function):
    """`sum_C C / (C + d)` of squared distances d.

    Autograd would keep a matrix for every C; this keeps one, the derivative `-sum_C C / (C + d)^2`.
    """

    @staticmethod
    def forward(ctx: Any, squares: torch.Tensor, constants: Sequence[float]) -> torch.Tensor:
        """The kernel of every squared distance."""
        total, slope = torch.zeros_like(squares), torch.zeros_like(squares)
        for constant in constants:
            term = (squares + constant).reciprocal_().mul_(constant)
            total += term
            slope.addcmul_(term, term, value=-1 / constant)
        ctx.save_for_backward(slope)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None]:
        """The gradient with respect to the squared distances."""
        return gradients[0] * ctx.saved_tensors[0], None
