"""The losses of ae, dime and vae against references of their own."""

import math
from typing import Any

import pytest
import torch
from torch.distributions import Independent, Normal, kl_divergence

from dimecli.data.likelihood import Bernoulli, Gaussian, Laplace
from dimecli.data.spec import Spec
from dimecli.model import VariationalAutoencoder
from dimecli.nn.potential import log_potential
from dimecli.plugin import Loss
from dimecli_plugins.networks.mlp import MLP
from dimecli_plugins.objectives.ae import AE
from dimecli_plugins.objectives.dime import Dime
from dimecli_plugins.objectives.vae import VAE

DTYPES = [torch.float32, torch.float64]
SHAPES = [(1, 4, 4), (3, 5, 2)]
NETWORK = MLP(widths=(8,))


def image_spec(shape: tuple[int, ...]) -> Spec:
    return Spec(modality="image", shape=shape, likelihood=Gaussian(bounded=True))


def batch(shape: tuple[int, ...], dtype: torch.dtype, count: int = 6) -> torch.Tensor:
    return torch.rand(count, *shape, generator=torch.Generator().manual_seed(0), dtype=dtype)


def rng() -> torch.Generator:
    return torch.Generator().manual_seed(1)


def values(loss: Loss) -> dict[str, float]:
    return {name: term.item() for name, term in loss.terms.items()}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_ae_is_the_summed_squared_error(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    model = AE(latent_size=3).build(image_spec(shape), NETWORK).to(dtype)
    x = batch(shape, dtype)
    squared = (model.decoder(model.encoder(x)) - x).square()
    assert values(AE().loss(model, x, rng())) == pytest.approx({"reconstruction": squared.sum().item() / 6}, rel=1e-5)
    assert values(AE(reduction="mean").loss(model, x, rng())) == pytest.approx(
        {"reconstruction": squared.mean().item()}, rel=1e-5
    )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_dime_is_eq_5(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    objective = Dime(latent_size=3, lam=0.7, gamma=1.5)
    model = objective.build(image_spec(shape), NETWORK).to(dtype)
    x = batch(shape, dtype)
    free = model.encoder[0](x)  # type: ignore[index]  # before the normalisation
    z = free / free.norm(dim=1, keepdim=True)
    expected = {
        "reconstruction": (model.decoder(z) - x).square().mean().item(),
        "information": 0.7 * log_potential(z, 1.5).item(),
    }
    loss = objective.loss(model, x, rng())
    assert values(loss) == pytest.approx(expected, rel=1e-5)
    assert loss.total.item() == pytest.approx(sum(expected.values()), rel=1e-5)
    assert model.encode(x).norm(dim=1).tolist() == pytest.approx([1.0] * 6, rel=1e-5)


def test_dime_without_normalisation_is_flat() -> None:
    objective = Dime(normalize=False)
    model = objective.build(image_spec((1, 4, 4)), NETWORK)
    assert objective.latent_space == "euclidean"
    assert objective.prior(model) is None
    assert not torch.allclose(model.encode(batch((1, 4, 4), torch.float32)).norm(dim=1), torch.ones(6))


def test_dime_effective_is_the_default_and_the_paper_hardly_spreads() -> None:
    """The range of the information term at the paper's settings: its gradient cannot matter."""
    assert Dime().options() == Dime.model_validate(Dime.presets["effective"]["objective"]).options()
    paper = Dime.model_validate(Dime.presets["paper"]["objective"])
    assert paper.lam * 4 * paper.gamma <= 1e-5


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("beta", "weight"), [(1.0, 1.0), (0.312, 0.312), (None, 0.1)])
def test_vae_kl_equals_torch_distributions(dtype: torch.dtype, beta: float | None, weight: float) -> None:
    objective = VAE(latent_size=3, beta=beta)
    model = objective.build(image_spec((1, 4, 4)), NETWORK).to(dtype)
    x = batch((1, 4, 4), dtype)
    mean, log_variance = model.posterior(x)
    posterior = Independent(Normal(mean, log_variance.exp().sqrt()), 1)
    standard = Independent(Normal(torch.zeros_like(mean), torch.ones_like(mean)), 1)
    kl = kl_divergence(posterior, standard).mean().item()
    assert values(objective.loss(model, x, rng()))["kl"] == pytest.approx(weight * kl, rel=1e-5)


@pytest.mark.parametrize(
    ("likelihood", "weight"),
    [
        (Bernoulli(), 1),
        (Gaussian(noise="learned"), 1),
        (Laplace(noise="predicted"), 1),
        (Gaussian(), 0.1),
        (Laplace(variance=0.2), 0.1),
    ],
)
def test_vae_is_the_evidence_lower_bound_unless_the_noise_is_set_by_hand(likelihood: Any, weight: float) -> None:
    spec = Spec(modality="image", shape=(1, 4, 4), likelihood=likelihood)
    assert VAE().weight(spec) == weight
    assert VAE(beta=0.3).weight(spec) == 0.3


def test_vae_reconstruction_is_unbiased_for_the_expectation_under_the_posterior() -> None:
    torch.manual_seed(0)
    objective = VAE(latent_size=2)
    model = objective.build(image_spec((1, 2, 2)), NETWORK).double()
    x = batch((1, 2, 2), torch.float64, count=1)
    draws = torch.Generator().manual_seed(3)
    many = objective.loss(model, x.expand(20000, -1, -1, -1), draws).terms["reconstruction"].item()
    mean, log_variance = model.posterior(x)
    points, weights = gauss_hermite(40)
    grid = torch.cartesian_prod(points, points)  # (1600, 2)
    z = mean + grid * (log_variance / 2).exp()
    nll = model.nll(x.expand(len(z), -1, -1, -1), z)
    assert many == pytest.approx((torch.cartesian_prod(weights, weights).prod(1) * nll).sum().item(), rel=5e-3)


def gauss_hermite(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Quadrature for N(0, 1)."""
    import numpy as np

    points, weights = np.polynomial.hermite_e.hermegauss(count)
    return torch.from_numpy(points), torch.from_numpy(weights / math.sqrt(2 * math.pi))


def test_vae_survives_absurd_encodings() -> None:
    model = VariationalAutoencoder(image_spec((1, 2, 2)), torch.nn.Flatten(), torch.nn.Identity(), 2)
    _, log_variance = model.posterior(torch.full((1, 1, 2, 2), 1e30))
    assert log_variance.exp().isfinite().all()
    _, near_zero = model.posterior(torch.full((1, 1, 2, 2), 0.1, dtype=torch.float64))
    assert near_zero.tolist() == [pytest.approx([0.1, 0.1], rel=1e-3)]


def test_vae_draws_from_the_generator_that_it_is_given() -> None:
    model = VAE(latent_size=3).build(image_spec((1, 4, 4)), NETWORK)
    x = batch((1, 4, 4), torch.float32)
    torch.manual_seed(0)
    first = values(VAE().loss(model, x, rng()))
    torch.manual_seed(99)
    assert values(VAE().loss(model, x, rng())) == first
    assert values(VAE().loss(model, x, torch.Generator().manual_seed(5))) != first


def test_objectives_take_a_bernoulli_likelihood() -> None:
    spec = Spec(modality="image", shape=(1, 4, 4), likelihood=Bernoulli())
    model = AE(latent_size=3).build(spec, NETWORK)
    x = batch((1, 4, 4), torch.float32)
    entropy = torch.nn.functional.binary_cross_entropy(model.decoder(model.encode(x)).sigmoid(), x, reduction="sum")
    assert values(AE().loss(model, x, rng()))["reconstruction"] == pytest.approx(entropy.item() / 6, rel=1e-5)
