"""The discretised logistic likelihood of pixels with a few levels, such as 256."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field

from dimecli.data.likelihood import LocationScale
from dimecli.lazy import F, torch


class Logistic(LocationScale):
    """A logistic distribution cut into the levels k / (levels - 1) of x (Kingma et al. 2016; PixelCNN++, eq. 2).

    `P(x) = sigmoid((x + h - mean) / s) - sigmoid((x - h - mean) / s)` with `h = 1 / (2 (levels - 1))` and
    `s = sqrt(3) std / pi`, without the second term at x = 0 and with 1 for the first at x = 1, so that the
    levels have all of the probability. Its draws are levels, and have no gradient.
    """

    name: Literal["logistic"] = "logistic"
    bounded: bool = True
    levels: int = Field(256, ge=2)

    def nll(self, parameters: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """`(B,)` nats of `(B, *shape)` levels.

        With `a > b` the ends of a bin, `sigmoid(a) - sigmoid(b) = sigmoid(a) sigmoid(-b) (1 - exp(b - a))`:
        a product has a log that does not underflow, however far the mean is.
        """
        mean, log_std = self.split(parameters)
        scale = self._scale(log_std)
        half = 0.5 / (self.levels - 1)
        above, below = (x + half - mean) / scale, (x - half - mean) / scale
        width = torch.log(-torch.expm1(torch.as_tensor(-2 * half / scale, device=mean.device, dtype=mean.dtype)))
        first, last = x < half, x > 1 - half
        log_prob = (
            F.logsigmoid(above).masked_fill(last, 0)
            + F.logsigmoid(-below).masked_fill(first, 0)
            + torch.where(first | last, 0, width)
        )
        return -log_prob.flatten(1).sum(1)

    def sample(self, parameters: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        """A draw of levels, `(B, *shape)`."""
        mean, _ = self.split(parameters)
        uniform = torch.rand(mean.shape, generator=rng, device=mean.device, dtype=mean.dtype)
        logistic = uniform.logit(eps=torch.finfo(mean.dtype).eps) * math.sqrt(3) / math.pi
        steps = self.levels - 1
        return torch.round(self.add_noise(parameters, logistic).clamp(0, 1) * steps) / steps

    def _scale(self, log_std: torch.Tensor | None) -> torch.Tensor | float:
        std = math.sqrt(self.variance) if log_std is None else log_std.exp()
        return std * math.sqrt(3) / math.pi
