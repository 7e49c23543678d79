"""The nuclear norm of a matrix."""

from __future__ import annotations

from dimecli.lazy import torch


def nuclear_norm(matrix: torch.Tensor) -> torch.Tensor:
    """The sum of the singular values of `U S V'`, a scalar with the gradient `U V'` of S > 0.

    That is the shortest subgradient, finite everywhere; the derivative of a singular value
    decomposition is not where singular values are zero or alike.
    """
    finite = torch.nan_to_num(matrix.detach(), posinf=0, neginf=0)  # the decomposition refuses what is not
    left, values, right = torch.linalg.svd(finite, full_matrices=False)
    positive = values > torch.finfo(values.dtype).eps * len(values) * values.max()
    norm: torch.Tensor = ((left * positive) @ right * matrix).sum()  # the trace of V U' M
    return norm
