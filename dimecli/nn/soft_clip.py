"""Numbers kept in a range smoothly."""

from __future__ import annotations

from dimecli.lazy import torch


def soft_clip(x: torch.Tensor, bound: float) -> torch.Tensor:
    """`bound tanh(x / bound)`: within plus and minus `bound`, and the identity near 0."""
    return bound * torch.tanh(x / bound)
