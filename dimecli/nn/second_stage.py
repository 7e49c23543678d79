"""A variational autoencoder of codes. Importing this module imports torch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn

from dimecli.distributions import StandardNormal
from dimecli.nn.fit import LearnedDensity
from dimecli.nn.init import he_normal
from dimecli.nn.normal import DiagonalNormal

DRAWS = 100
"""Draws of importance sampling behind a `log_prob`."""
_GAMMA_RATE = 10.0  # gamma falls by orders of magnitude, and Adam moves a weight by no more than its rate in a step


class SkipMLP(nn.Module):
    """`(B, l)` to `(B, features)`: ReLU layers, and a linear one that sees the input beside the last of them."""

    def __init__(self, size: int, widths: Sequence[int], features: int) -> None:
        super().__init__()
        pairs = pairwise((size, *widths))
        self.layers = nn.Sequential(*(nn.Sequential(he_normal(nn.Linear(*pair)), nn.ReLU()) for pair in pairs))
        self.last = nn.Linear(size + widths[-1], features)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        """The features."""
        features: torch.Tensor = self.last(torch.cat((z, self.layers(z)), 1))
        return features


class SecondStage(LearnedDensity):
    """`z = loc + scale (dec(u) + gamma eps)` with u and eps standard normal, of the same dimension l as z.

    Args:
        size: Dimension l.
        widths: Units of the hidden layers.
    """

    loc: torch.Tensor  # (l,)
    scale: torch.Tensor  # (l,)

    def __init__(self, size: int, widths: Sequence[int]) -> None:
        super().__init__()
        self.encoder = SkipMLP(size, widths, 2 * size)
        self.decoder = SkipMLP(size, widths, size)
        self.raw_gamma = nn.Parameter(torch.zeros(()))
        self.register_buffer("loc", torch.zeros(size))
        self.register_buffer("scale", torch.ones(size))

    @property
    def log_gamma(self) -> torch.Tensor:
        """Logarithm of the noise of z, in units of `scale`."""
        return _GAMMA_RATE * self.raw_gamma

    def loss(self, rows: torch.Tensor, noise: torch.Generator) -> torch.Tensor:
        """The negative evidence lower bound of z drawn from `(B, 2 l)` rows, means and standard deviations."""
        mean, std = rows.chunk(2, dim=1)
        eps = torch.randn(mean.shape, generator=noise, device=mean.device, dtype=mean.dtype)
        z = (mean + std * eps - self.loc) / self.scale
        posterior = self._posterior(z)
        return (posterior.kl() - self._log_likelihood(z, posterior.sample(noise))).mean()

    def sample(self, n: int, rng: torch.Generator) -> torch.Tensor:
        """`(n, l)` draws."""
        u, eps = torch.randn(2, n, len(self.loc), generator=rng, device=rng.device, dtype=self.loc.dtype)
        z: torch.Tensor = self.loc + self.scale * (self.decoder(u) + self.log_gamma.exp() * eps)
        return z

    def log_prob(self, z: torch.Tensor) -> torch.Tensor:
        """`(n,)` nats by importance sampling; always from the same `DRAWS` draws, the same for every code."""
        white = (z - self.loc) / self.scale
        posterior, prior = self._posterior(white), StandardNormal(z.shape[1])
        rng = torch.Generator().manual_seed(0)
        total = z.new_full(z.shape[:1], -math.inf)
        for _ in range(DRAWS):
            eps = torch.randn(z.shape[1], generator=rng, dtype=self.loc.dtype)
            u = posterior.mean + (posterior.log_variance / 2).exp() * eps
            weight = self._log_likelihood(white, u) + prior.log_prob(u) - posterior.log_prob(u)
            total = torch.logaddexp(total, weight)
        return total - math.log(DRAWS) - self.scale.log().sum()

    def _posterior(self, white: torch.Tensor) -> DiagonalNormal:
        return DiagonalNormal.from_features(self.encoder(white))

    def _log_likelihood(self, white: torch.Tensor, u: torch.Tensor) -> torch.Tensor:
        mean = self.decoder(u)
        return DiagonalNormal(mean, (2 * self.log_gamma).expand(mean.shape)).log_prob(white)
