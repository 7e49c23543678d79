"""The posteriors of a run: whether it has any, and a draw from each with all that is known of them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch

from dimecli.distributions import HypersphereUniform, StandardNormal
from dimecli.model import Autoencoder, LatentVariableModel, VariationalAutoencoder
from dimecli.nn.normal import DiagonalNormal
from dimecli.nn.spherical import SphericalAutoencoder
from dimecli.nn.vmf import VonMisesFisher
from dimecli.run.run import Run

Posterior = DiagonalNormal | VonMisesFisher

_BATCH = 500


@dataclass(frozen=True)
class Inferred:
    """A code drawn from the posterior of each sample, on the CPU.

    Args:
        features: `(n, k)` numbers of each x that the encoder makes its posterior of; x itself where it has no more.
        z: `(n, l)` codes, one of each posterior.
        log_prob: `(n,)` nats: the log-density of each code under its own posterior.
        posterior: All of the posteriors, where they are known in closed form.
    """

    features: torch.Tensor
    z: torch.Tensor
    log_prob: torch.Tensor
    posterior: Posterior | None


def without_posterior(run: Run) -> str | None:
    """Why there is nothing to draw from; None if there is."""
    if isinstance(run.model, LatentVariableModel):
        return None
    return "the codes are deterministic: there is no q(z|x)"


def latent_variable_model(run: Run) -> LatentVariableModel:
    """The run's model, which has posteriors."""
    assert isinstance(run.model, LatentVariableModel)
    return run.model


@torch.no_grad()
def batched(run: Run, x: torch.Tensor, numbers: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
    """`(N, ...)` numbers of `(N, *shape)` data, on the CPU; batch after batch, on the run's device."""
    return torch.cat([numbers(part.to(run.device)).cpu() for part in x.split(_BATCH)])


@torch.no_grad()
def infer(run: Run, x: torch.Tensor, rng: torch.Generator, noise: float | None = None) -> Inferred:
    """A code from the posterior of each of `(N, *shape)` data.

    Args:
        run: Its model has posteriors, or `noise` is given.
        x: The data.
        rng: Source of the draws, on the run's device.
        noise: Standard deviation of a Gaussian around each code; it takes the place of a posterior.
    """
    parts = [_infer(run.model, part.to(run.device), rng, noise) for part in x.split(_BATCH)]
    features, z, log_prob = (
        torch.cat([getattr(part, name) for part in parts]).cpu() for name in ("features", "z", "log_prob")
    )
    if x.is_floating_point() and x[0].numel() <= features.shape[1]:
        features = x.flatten(1)
    known = [part.posterior for part in parts if part.posterior is not None]
    posterior = type(known[0])(*(torch.cat(of).cpu() for of in zip(*known, strict=True))) if known else None
    return Inferred(features, z, log_prob, posterior)


def _infer(model: Autoencoder, x: torch.Tensor, rng: torch.Generator, noise: float | None) -> Inferred:
    posterior: Posterior
    if noise is not None:
        features = model.encode(x)
        posterior = DiagonalNormal(features, torch.full_like(features, 2 * math.log(noise)))
    elif isinstance(model, VariationalAutoencoder | SphericalAutoencoder):
        posterior = model.posterior(x)
        features = torch.cat([parameter.view(len(x), -1) for parameter in posterior], dim=1)
    else:
        assert isinstance(model, LatentVariableModel)
        z, log_prob = model.infer(x, rng)
        return Inferred(model.encoder(x).flatten(1), z, log_prob, None)
    z = posterior.sample(rng)
    return Inferred(features, z, posterior.log_prob(z), posterior)


def kl(run: Run, x: torch.Tensor, rng: torch.Generator) -> tuple[torch.Tensor, bool]:
    """`(N,)` nats: `KL(q(z|x) || p(z))` of each x, and whether they are exact.

    Exact are those of Gaussians from N(0, I), and of von Mises-Fisher laws from the uniform one; else
    each is `log q(z|x) - log p(z)` at a draw z, which it is the mean of.
    """
    model = latent_variable_model(run)
    with torch.no_grad():
        prior = model.prior()
    if isinstance(model, VariationalAutoencoder) and prior == StandardNormal(model.latent_size):
        return batched(run, x, lambda part: model.posterior(part).kl()), True
    if isinstance(model, SphericalAutoencoder) and isinstance(prior, HypersphereUniform):
        return batched(run, x, lambda part: model.posterior(part).kl()), True

    def difference(part: torch.Tensor) -> torch.Tensor:
        z, log_posterior = model.infer(part, rng)
        return log_posterior - prior.log_prob(z)

    return batched(run, x, difference), False


def elbo(run: Run, x: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """`(N,)` nats: `log p(x|z) + log p(z) - log q(z|x)` at one draw z for each x."""
    model = latent_variable_model(run)
    with torch.no_grad():
        prior = model.prior()
    return batched(run, x, lambda part: model.log_weight(part, rng, prior))


def nll(run: Run, x: torch.Tensor, rng: torch.Generator, draws: int) -> torch.Tensor:
    """`(N,)` nats: `-log p(x)` by importance sampling with `draws` draws."""
    model = latent_variable_model(run)
    return -batched(run, x, lambda part: model.log_prob(part, rng, draws))
