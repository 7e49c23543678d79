"""Gaussians with a diagonal covariance, as encoders give them."""

from __future__ import annotations

import math
from typing import NamedTuple

from dimecli.lazy import torch
from dimecli.nn.soft_clip import soft_clip


class DiagonalNormal(NamedTuple):
    """`N(mean, diag exp(log_variance))`, one for each row of `(B, l)` parameters."""

    mean: torch.Tensor
    log_variance: torch.Tensor

    @classmethod
    def from_features(cls, features: torch.Tensor, bound: float = 10.0) -> DiagonalNormal:
        """Those of `(B, 2 l)` free numbers: means, and log-variances kept within +-`bound` smoothly.

        So neither a log-variance nor its exponential overflows.
        """
        mean, free = features.chunk(2, dim=1)
        return cls(mean, soft_clip(free, bound))

    def sample(self, rng: torch.Generator) -> torch.Tensor:
        """`(B, l)` draws, one of each row, whose gradients reach the parameters (reparametrised)."""
        noise = torch.randn(self.mean.shape, generator=rng, device=self.mean.device, dtype=self.mean.dtype)
        return self.mean + torch.exp(self.log_variance / 2) * noise

    def log_prob(self, z: torch.Tensor) -> torch.Tensor:
        """`(B,)` nats: the log-density of each row of `(B, l)` under its own Gaussian."""
        squares = (z - self.mean).square() * torch.exp(-self.log_variance)
        return -0.5 * (squares + self.log_variance + math.log(2 * math.pi)).sum(-1)

    def kl(self) -> torch.Tensor:
        """`(B,)` nats: `KL(N(mean, variance) || N(0, I)) = (mean^2 + variance - 1 - log variance) / 2`, summed."""
        return 0.5 * (self.mean.square() + self.log_variance.exp() - 1 - self.log_variance).sum(-1)
