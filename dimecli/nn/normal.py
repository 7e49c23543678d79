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

    def log_probs(self, z: torch.Tensor) -> torch.Tensor:
        """`(n, B)` nats in float64: the log-density of each of `(n, l)` codes under every Gaussian.

        The squares are expanded, `(z - mean)^2 = z^2 - 2 z mean + mean^2`, into two products of matrices.
        """
        z, mean, log_variance = (part.double() for part in (z, *self))
        precision = torch.exp(-log_variance)
        squares = z.square() @ precision.T - 2 * z @ (mean * precision).T + (mean.square() * precision).sum(1)
        return -0.5 * (squares + log_variance.sum(1) + z.shape[1] * math.log(2 * math.pi))

    def kl(self) -> torch.Tensor:
        """`(B,)` nats: `KL(N(mean, variance) || N(0, I)) = (mean^2 + variance - 1 - log variance) / 2`, summed."""
        return 0.5 * (self.mean.square() + self.log_variance.exp() - 1 - self.log_variance).sum(-1)
