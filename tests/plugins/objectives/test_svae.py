"""The loss of svae, and its likelihood, against references of their own."""

import importlib
import math
from typing import Any

import pytest
import torch

from dimecli.data.likelihood import Bernoulli, Gaussian, Likelihood
from dimecli.data.spec import Spec
from dimecli.nn.spherical import SphericalAutoencoder
from dimecli_plugins.networks.mlp import MLP
from dimecli_plugins.objectives.svae import SVAE

mpmath: Any = importlib.import_module("mpmath")  # a dependency of torch, without types
DTYPES = [torch.float32, torch.float64]
NETWORK = MLP(widths=(8,))


def build(size: int, dtype: torch.dtype, likelihood: Likelihood | None = None) -> SphericalAutoencoder:
    spec = Spec(modality="image", shape=(1, 4, 4), likelihood=likelihood or Gaussian(bounded=True))
    return SVAE(latent_size=size).build(spec, NETWORK).to(dtype)


def batch(dtype: torch.dtype, count: int = 6) -> torch.Tensor:
    return torch.rand(count, 1, 4, 4, generator=torch.Generator().manual_seed(0), dtype=dtype)


def rng(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def divergence(kappa: float, m: int) -> float:
    """Eq. 5 of S-VAE word for word."""
    with mpmath.workdps(50):
        half, k = mpmath.mpf(m) / 2, mpmath.mpf(kappa)
        bessel = mpmath.besseli(half - 1, k)
        log_c = (half - 1) * mpmath.log(k) - half * mpmath.log(2 * mpmath.pi) - mpmath.log(bessel)
        log_area = half * mpmath.log(mpmath.pi) + mpmath.log(2) - mpmath.loggamma(half)
        return float(k * mpmath.besseli(half, k) / bessel + log_c + log_area)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [2, 5, 128])
@pytest.mark.parametrize("beta", [None, 0.7])
def test_svae_is_eq_5_and_the_reconstruction_of_its_sample(size: int, dtype: torch.dtype, beta: float | None) -> None:
    for likelihood, weight in ((Gaussian(bounded=True), 0.1), (Bernoulli(), 1.0)):
        model, x = build(size, dtype, likelihood), batch(dtype)
        features = model.encoder(x)
        kappa = torch.nn.functional.softplus(features[:, -1]) + 1
        loss = SVAE(latent_size=size, beta=beta).loss(model, x, rng())
        expected = math.fsum(divergence(k, size) for k in kappa.tolist()) / 6
        assert loss.terms["kl"].item() == pytest.approx(expected * (weight if beta is None else beta), rel=1e-4)
        z = model.posterior(x).sample(rng())
        torch.testing.assert_close(z.norm(dim=1), torch.ones(6, dtype=dtype))
        assert loss.terms["reconstruction"].item() == pytest.approx(model.nll(x, z).mean().item(), rel=1e-5)
        codes = features[:, :-1] / features[:, :-1].norm(dim=1, keepdim=True)
        torch.testing.assert_close(model.encode(x), codes)


@pytest.mark.parametrize("size", [2, 128])
def test_posterior_and_prior_live_on_the_same_sphere(size: int) -> None:
    """The sphere in l dimensions, not the one with one more: log q(z|x) - log p(z) averages to the divergence."""
    model, x = build(size, torch.float64), batch(torch.float64).repeat(2_000, 1, 1, 1)
    z, log_posterior = model.infer(x, rng())
    log_prior = model.prior().log_prob(z)
    assert z.shape[1] == size
    difference = log_posterior - log_prior
    error = difference.std().item() / math.sqrt(len(x))
    assert abs((difference - model.posterior(x).kl()).mean().item()) < 5 * error
    assert SVAE(latent_size=size).prior(model) == model.prior()


def test_importance_weights_average_to_the_likelihood_over_the_circle() -> None:
    """p(x) is the mean likelihood over equally spaced angles."""
    model, x = build(2, torch.float64), batch(torch.float64)[:1]
    angle = 2 * math.pi * torch.arange(2_000, dtype=torch.float64) / 2_000
    circle = torch.stack([angle.cos(), angle.sin()], dim=1)
    nll = model.nll(x.expand(2_000, 1, 4, 4), circle) + 16 * model.spec.likelihood.constant
    ratio = (model.log_weight(x.expand(50_000, 1, 4, 4), rng()) - ((-nll).logsumexp(0) - math.log(2_000))).exp()
    assert abs(ratio.mean().item() - 1) < 5 * ratio.std().item() / math.sqrt(50_000) < 0.1


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [2, 64, 128, 256])
def test_gradients_are_finite_where_bessel_functions_underflow(size: int, dtype: torch.dtype) -> None:
    """A KL in float32 Bessel functions is NaN at 128 dimensions and kappa <= 5, which training starts at."""
    objective = SVAE(latent_size=size)
    model = build(size, dtype)
    loss = objective.loss(model, batch(dtype), rng()).total
    loss.backward()
    assert loss.isfinite()
    for weight in model.parameters():
        assert weight.grad is not None
        assert weight.grad.isfinite().all()


def test_presets_are_half_of_what_pythae_minimises_doubled() -> None:
    objective = SVAE.model_validate(SVAE.presets["dime-table2"]["objective"])
    model = build(16, torch.float64)
    x = batch(torch.float64)
    terms = objective.loss(model, x, rng()).terms
    error = (model.decoder(model.posterior(x).sample(rng())) - x).square().flatten(1).sum(1).mean()
    pythae = 0.5 * error + model.posterior(x).kl().mean()
    assert sum(terms.values()).item() == pytest.approx(2 * pythae.item(), rel=1e-6)  # type: ignore[union-attr]
    assert SVAE.model_validate(SVAE.presets["paper"]["objective"]).latent_size == 11  # d = 10 counts the sphere's
