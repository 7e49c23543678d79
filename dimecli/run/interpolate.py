"""Between two codes."""

from __future__ import annotations

import torch

_PARALLEL = 1e-4  # radians: below, and as near to opposite, the arc is not defined well enough


def lerp(a: torch.Tensor, b: torch.Tensor, t: float) -> torch.Tensor:
    """`(n, l)` points on the straight lines from `(n, l)` codes a to b, at t from 0 to 1."""
    return torch.lerp(a, b, t)


def slerp(a: torch.Tensor, b: torch.Tensor, t: float) -> torch.Tensor:
    """`(n, l)` points on the arcs from `(n, l)` codes a to b, at t from 0 to 1 (Shoemake 1985).

    Directions turn evenly by `sin((1 - t) w) / sin w` and `sin(t w) / sin w`, w the angle between a and b;
    lengths change linearly from |a| to |b|. Where the two point the same way, or exactly opposite ways, or one
    is 0, there is no arc to choose: the line is taken.
    """
    long_a, long_b = (torch.linalg.vector_norm(codes, dim=1, keepdim=True) for codes in (a, b))
    u, v = a / long_a.clamp_min(1e-12), b / long_b.clamp_min(1e-12)
    angle = 2 * torch.atan2((u - v).norm(dim=1, keepdim=True), (u + v).norm(dim=1, keepdim=True))  # exact near 0 and pi
    arc = (torch.sin((1 - t) * angle) * u + torch.sin(t * angle) * v) / torch.sin(angle)
    defined = (angle > _PARALLEL) & (angle < torch.pi - _PARALLEL) & (long_a > 0) & (long_b > 0)
    return torch.where(defined, torch.lerp(long_a, long_b, t) * arc, torch.lerp(a, b, t))
