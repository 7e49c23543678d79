"""Ends of decoders that say how noisy each element of x is. Importing this module imports torch."""

from __future__ import annotations

import math

import torch
from torch import nn

from dimecli.nn.soft_clip import soft_clip

LOG_STD = 7.0
"""Log standard deviations stay within plus and minus this, smoothly: `7 tanh(a / 7)` is the identity near 0."""

SPEED = 10.0
"""A learned log standard deviation is this times its weight: Adam moves a weight by about the learning rate in a step,
which would take longer than a short training to get from the first value to that of the data."""


class LearnedNoise(nn.Module):
    """Means, and behind them, on dim 1, one log standard deviation for all elements, a weight of its own.

    Args:
        mean: From free numbers to means.
        start: The log standard deviation at first.
    """

    def __init__(self, mean: nn.Module, start: float) -> None:
        super().__init__()
        self.mean = mean
        self.log_scale = nn.Parameter(torch.tensor(_free(start) / SPEED))

    @property
    def log_std(self) -> torch.Tensor:
        """The log standard deviation, a scalar."""
        return soft_clip(SPEED * self.log_scale, LOG_STD)

    def forward(self, free: torch.Tensor) -> torch.Tensor:
        """`(B, C, ...)` free numbers to `(B, 2 C, ...)`."""
        mean = self.mean(free)
        return torch.cat([mean, self.log_std.expand_as(mean)], dim=1)


class PredictedNoise(nn.Module):
    """Means, and behind them, on dim 1, a log standard deviation for each, out of twice as many free numbers.

    Args:
        mean: From free numbers to means.
        start: The log standard deviation where its free number is 0.
    """

    def __init__(self, mean: nn.Module, start: float) -> None:
        super().__init__()
        self.mean = mean
        self.start = _free(start)

    def forward(self, free: torch.Tensor) -> torch.Tensor:
        """`(B, 2 C, ...)` free numbers to `(B, 2 C, ...)`."""
        mean, log_std = free.chunk(2, dim=1)
        return torch.cat([self.mean(mean), soft_clip(self.start + log_std, LOG_STD)], dim=1)


def _free(log_std: float) -> float:
    """The number that `_bounded` makes that log standard deviation of."""
    return LOG_STD * math.atanh(log_std / LOG_STD)
