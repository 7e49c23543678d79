"""Stacks of fully connected layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

from dimecli.lazy import nn


def dense(sizes: Sequence[int], activation: Callable[[], nn.Module]) -> nn.Sequential:
    """Linear layers from `(B, sizes[0])` through the sizes between to `(B, sizes[-1])`, without an activation there."""
    from dimecli.nn.init import he_normal

    *hidden, last = pairwise(sizes)
    layers: list[nn.Module] = []
    for before, after in hidden:
        layers += [he_normal(nn.Linear(before, after)), activation()]
    return nn.Sequential(*layers, nn.Linear(*last))
