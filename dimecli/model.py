"""The models that objectives build. Importing this module imports torch; plugins do so inside `build`."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import nn

from dimecli.data.spec import Spec
from dimecli.distributions import StandardNormal
from dimecli.nn.normal import DiagonalNormal
from dimecli.plugin import Fitted, Network


class Autoregressive(nn.Module):
    """A decoder whose parameters depend on the elements of x before each: it needs x to be trained."""

    @abstractmethod
    def forward(self, z: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """The likelihood's parameters of every element of x given those before it (teacher forcing)."""

    @abstractmethod
    def generate(self, z: torch.Tensor, likelihood: Any, rng: torch.Generator | None, reserve: bool) -> torch.Tensor:
        """`(B, *shape)` data, element after element: the most probable, or drawn if `rng` is given.

        `reserve` is that of `Likelihood.decode`; without it draws are from p(x|z).
        """


class Autoencoder(nn.Module):
    """A deterministic autoencoder: the encoder gives the code, the decoder the likelihood's parameters."""

    def __init__(self, spec: Spec, encoder: nn.Module, decoder: nn.Module, latent_size: int) -> None:
        super().__init__()
        self.spec = spec
        self.encoder = encoder
        self.decoder = decoder
        self.latent_size = latent_size

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        """`(B, l)` codes of `(B, *shape)` data: deterministic, or the mean of the posterior."""
        codes: torch.Tensor = self.encoder(x)
        return codes

    def decode(self, z: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """The likelihood's parameters given `(B, l)` codes, and x where the decoder is autoregressive."""
        parameters: torch.Tensor = self.decoder(z, x) if isinstance(self.decoder, Autoregressive) else self.decoder(z)
        return parameters

    def nll(self, x: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        """`(B,)` negative log-likelihoods of x given its codes, in nats, up to `likelihood.constant`."""
        return self.spec.likelihood.nll(self.decode(z, x), x)

    def log_likelihood(self, x: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        """`(B,)` nats: log p(x|z) with all of its constants."""
        return -self.nll(x, z) - self.spec.elements * self.spec.likelihood.constant

    def prior(self) -> Fitted | None:
        """The distribution that codes are asked to have, if they are asked for one; a learned one has gradients."""
        return None

    def sample(self, z: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        """`(B, *shape)` draws from p(x|z), the law that `nll` is of."""
        return self.generate(z, rng, reserve=False)

    def generate(self, z: torch.Tensor, rng: torch.Generator | None = None, reserve: bool = True) -> torch.Tensor:
        """`(B, *shape)` data decoded from `(B, l)` codes for a user to see; see `Likelihood.decode`.

        Args:
            z: The codes.
            rng: Source of draws; without it the data are the likelihood's estimate, such as the mean.
            reserve: Let every derivation of a grammar end.
        """
        likelihood = self.spec.likelihood
        if isinstance(self.decoder, Autoregressive):
            return self.decoder.generate(z, likelihood, rng, reserve)
        return likelihood.decode(self.decoder(z), rng, reserve)


class LatentVariableModel(Autoencoder):
    """A model `p(x) = E_{p(z)} p(x|z)` whose encoder gives an approximate posterior q(z|x) to draw from."""

    @abstractmethod
    def infer(self, x: torch.Tensor, rng: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """A draw from q(z|x) for each x, `(B, l)`, with gradients, and its log-density, `(B,)` nats."""

    def prior(self) -> Fitted:
        """p(z); N(0, I) unless a model has another."""
        return StandardNormal(self.latent_size)

    def log_weight(self, x: torch.Tensor, rng: torch.Generator, prior: Fitted | None = None) -> torch.Tensor:
        """`(B,)` nats: `log p(x|z) + log p(z) - log q(z|x)` at a draw z, whose mean is the evidence lower bound.

        Args:
            x: `(B, *shape)` data.
            rng: Source of the draw.
            prior: What `prior()` gave, where many draws need it: a learned one takes time to make.
        """
        z, log_posterior = self.infer(x, rng)
        prior = self.prior() if prior is None else prior
        return self.log_likelihood(x, z) + prior.log_prob(z) - log_posterior

    @torch.no_grad()
    def log_prob(self, x: torch.Tensor, rng: torch.Generator, draws: int = 500) -> torch.Tensor:
        """`(B,)` nats: log p(x) by importance sampling, `log mean exp log_weight` (Burda et al. 2016, eq. 8).

        In expectation a lower bound, which rises to log p(x) with the number of draws.
        """
        prior = self.prior()
        total = x.new_full(x.shape[:1], -math.inf, dtype=torch.float64)
        for _ in range(draws):
            total = torch.logaddexp(total, self.log_weight(x, rng, prior).double())
        return total - math.log(draws)


class VariationalAutoencoder(LatentVariableModel):
    """A model whose encoder gives a Gaussian posterior with a diagonal covariance; its prior is N(0, I).

    The log-variance is kept within +-`LOG_VARIANCE` smoothly, so that neither it nor its exponential
    overflows: `LOG_VARIANCE tanh(a / LOG_VARIANCE)` is the identity near 0.
    """

    LOG_VARIANCE = 10.0

    @classmethod
    def of(cls, spec: Spec, network: Network, latent_size: int) -> Self:
        """The model of a network, whose encoder gives a mean and a log-variance per dimension."""
        return cls(spec, network.encoder(spec, 2 * latent_size), network.decoder(spec, latent_size), latent_size)

    def posterior(self, x: torch.Tensor) -> DiagonalNormal:
        """q(z|x)."""
        return DiagonalNormal.from_features(self.encoder(x), self.LOG_VARIANCE)

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        """`(B, l)` means of the posterior."""
        return self.posterior(x).mean

    def infer(self, x: torch.Tensor, rng: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """A draw from the posterior, `(B, l)`, and its log-density, `(B,)` nats."""
        posterior = self.posterior(x)
        z = posterior.sample(rng)
        return z, posterior.log_prob(z)


class UnitNorm(nn.Module):
    """Divides every row by its length: `(B, l)` to the unit sphere, in at least float32."""

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        """`z / |z|`; a row of zeros stays zero."""
        return F.normalize(z.to(torch.promote_types(z.dtype, torch.float32)), dim=1)
