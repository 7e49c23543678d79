"""The losses of beta-vae, cv-vae, infovae and wae-mmd against references of their own."""

import math
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch.distributions import Independent, MultivariateNormal, Normal, kl_divergence

from dimecli.data.likelihood import Bernoulli, Gaussian
from dimecli.data.spec import Spec
from dimecli.distributions import HypersphereUniform, StandardNormal
from dimecli.model import Autoencoder, VariationalAutoencoder
from dimecli.nn.mmd import Kernel, mmd
from dimecli.plugin import Loss
from dimecli_plugins.networks.mlp import MLP
from dimecli_plugins.objectives import infovae, wae_mmd
from dimecli_plugins.objectives.beta_vae import BetaVAE
from dimecli_plugins.objectives.cv_vae import CVVAE
from dimecli_plugins.objectives.infovae import InfoVAE
from dimecli_plugins.objectives.wae_mmd import WAEMMD

DTYPES = [torch.float32, torch.float64]
SHAPES = [(1, 4, 4), (3, 5, 2)]
KERNELS: list[Kernel] = ["imq", "rbf"]
NETWORK = MLP(widths=(8,))


@pytest.fixture(autouse=True)
def _same_weights_each_time() -> None:
    torch.manual_seed(0)


def image_spec(shape: tuple[int, ...] = (1, 4, 4)) -> Spec:
    return Spec(modality="image", shape=shape, likelihood=Gaussian(bounded=True))


def batch(shape: tuple[int, ...] = (1, 4, 4), dtype: torch.dtype = torch.float32, count: int = 6) -> torch.Tensor:
    return torch.rand(count, *shape, generator=rng(0), dtype=dtype)


def rng(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def values(loss: Loss) -> dict[str, float]:
    return {name: term.item() for name, term in loss.terms.items()}


def kl_by_torch(mean: torch.Tensor, log_variance: torch.Tensor) -> float:
    posterior = Independent(Normal(mean, log_variance.exp().sqrt()), 1)
    standard = Independent(Normal(torch.zeros_like(mean), torch.ones_like(mean)), 1)
    return kl_divergence(posterior, standard).mean().item()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_beta_vae_weights_the_kl_of_torch_distributions(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    objective = BetaVAE(latent_size=3, beta=4)
    model = objective.build(image_spec(shape), NETWORK).to(dtype)
    x = batch(shape, dtype)
    posterior = model.posterior(x)
    squared = (model.decoder(posterior.sample(rng())) - x).square().sum().item() / 6
    expected = {"reconstruction": squared, "kl": 4 * kl_by_torch(*posterior)}
    assert values(objective.loss(model, x, rng())) == pytest.approx(expected, rel=1e-5)


def test_beta_vae_presses_twice_as_hard_as_vae_by_default() -> None:
    bernoulli = Spec(modality="image", shape=(1, 4, 4), likelihood=Bernoulli())
    assert (BetaVAE().weight(bernoulli), BetaVAE().weight(image_spec())) == (2, 0.2)
    assert BetaVAE(beta=0).weight(bernoulli) == 0


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("sigma", [0.1, 0.7, 2.0])
def test_cv_vae_kl_has_its_constant(sigma: float, dtype: torch.dtype) -> None:
    objective = CVVAE(latent_size=3, beta=0.5, sigma=sigma)
    model = objective.build(image_spec(), NETWORK).to(dtype)
    x = batch(dtype=dtype)
    mean = model.encode(x)
    assert mean.shape == (6, 3)
    expected = 0.5 * kl_by_torch(mean, torch.full_like(mean, math.log(sigma**2)))
    assert values(objective.loss(model, x, rng()))["kl"] == pytest.approx(expected, rel=1e-5)


def test_cv_vae_sigma_is_a_standard_deviation_not_a_variance() -> None:
    model = CVVAE(latent_size=2, sigma=0.7).build(image_spec(), NETWORK).double()
    x = batch(dtype=torch.float64, count=1)
    z, _ = model.infer(x.expand(20_000, -1, -1, -1), rng())
    assert (z - model.encode(x)).std().item() == pytest.approx(0.7, rel=0.02)  # four standard errors


def test_cv_vae_log_prob_is_exact_on_a_linear_model() -> None:
    """The encoder's mean is the exact posterior's; sigma = 1 covers its covariance, so that the weights are bounded."""
    spec = Spec(modality="vector", shape=(3,), likelihood=Gaussian(variance=0.5))
    model = CVVAE(latent_size=2, sigma=1).build(spec, MLP(widths=())).double()
    encoder, decoder = (
        next(layer for layer in part.modules() if isinstance(layer, torch.nn.Linear))
        for part in (model.encoder, model.decoder)
    )
    w, bias = decoder.weight.detach(), decoder.bias.detach()
    gain = torch.linalg.solve(torch.eye(2) + 2 * w.T @ w, 2 * w.T)
    with torch.no_grad():
        encoder.weight.copy_(gain)
        encoder.bias.copy_(-gain @ bias)
    x = torch.randn(4, 3, generator=rng(), dtype=torch.float64)
    expected = MultivariateNormal(bias, w @ w.T + 0.5 * torch.eye(3)).log_prob(x)
    torch.testing.assert_close(model.log_prob(x, rng(), draws=3000), expected, rtol=0, atol=0.1)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("shape", SHAPES)
def test_wae_is_the_reconstruction_and_the_discrepancy_from_fresh_draws(
    shape: tuple[int, ...], kernel: Kernel, dtype: torch.dtype
) -> None:
    objective = WAEMMD(latent_size=3, lam=7, kernel=kernel, sigma=1.5)
    model = objective.build(image_spec(shape), NETWORK).to(dtype)
    x, generator = batch(shape, dtype), rng()
    z = model.encode(x)
    noise = rng()
    for _ in range(2):  # the second step has other draws
        draws = 1.5 * torch.randn(6, 3, generator=noise).to(dtype)
        expected = {
            "reconstruction": (model.decoder(z) - x).square().sum().item() / 6,
            "mmd": 7 * mmd(z, draws, kernel, 2 * 3 * 1.5**2).item(),
        }
        assert values(objective.loss(model, x, generator)) == pytest.approx(expected, rel=1e-5)


def test_wae_on_the_sphere_has_unit_codes_and_the_constants_of_unit_vectors() -> None:
    objective = WAEMMD(latent_size=3, lam=7, distribution="sphere")
    model = objective.build(image_spec(), NETWORK)
    x = batch()
    z = model.encode(x)
    assert objective.latent_space == "sphere"
    assert z.norm(dim=1).tolist() == pytest.approx([1.0] * 6, rel=1e-5)
    draws = HypersphereUniform(3).sample(6, rng())
    assert values(objective.loss(model, x, rng()))["mmd"] == pytest.approx(7 * mmd(z, draws, "imq", 2.0).item())
    assert objective.prior(model) == HypersphereUniform(3)


@pytest.mark.parametrize("sigma", [1.0, 1.5])
def test_wae_prior_is_the_law_of_its_draws(sigma: float) -> None:
    objective = WAEMMD(latent_size=3, sigma=sigma)
    prior = objective.prior(objective.build(image_spec(), NETWORK))
    z = torch.randn(5, 3, generator=rng())
    reference = MultivariateNormal(torch.zeros(3), sigma**2 * torch.eye(3))
    torch.testing.assert_close(prior.log_prob(z), reference.log_prob(z))
    assert prior.sample(20_000, rng()).std().item() == pytest.approx(sigma, rel=0.02)
    assert (prior == StandardNormal(3)) == (sigma == 1)


def test_wae_term_is_not_clamped() -> None:
    """Codes that are normal already: the term has the mean 0, and so often a negative value."""
    objective = WAEMMD(latent_size=4, lam=1)
    spec = Spec(modality="vector", shape=(4,), likelihood=Gaussian())
    model = Autoencoder(spec, torch.nn.Identity(), torch.nn.Identity(), 4)
    noise = rng()
    drawn = [values(objective.loss(model, torch.randn(50, 4, generator=noise), noise))["mmd"] for _ in range(200)]
    mean, std = torch.tensor(drawn).mean().item(), torch.tensor(drawn).std().item()
    assert abs(mean) < 4 * std / math.sqrt(200)
    assert min(drawn) < -std / 2


@pytest.mark.parametrize(("module", "objective"), [(wae_mmd, WAEMMD()), (infovae, InfoVAE())])
def test_codes_and_draws_of_all_processes_are_compared(
    module: Any, objective: WAEMMD | InfoVAE, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two processes, the other of which holds the same rows doubled, are four times the pairs of each kind."""
    model: Any = objective.build(image_spec(), NETWORK)
    compared: list[torch.Tensor] = []

    def comparing(z: torch.Tensor, draws: torch.Tensor, *_: Any, **__: Any) -> torch.Tensor:
        compared.extend([z, draws])
        return z.sum()

    monkeypatch.setattr(module, "gather", lambda rows: torch.cat([rows, 2 * rows]))
    monkeypatch.setattr(module, "mmd", comparing)
    objective.loss(model, batch(), rng())
    for rows in compared:
        assert rows.shape == (12, 16)
        assert torch.equal(rows[6:], 2 * rows[:6])


@pytest.mark.parametrize(
    ("preset", "weight"),
    [("wae-mnist", 200), ("wae-celeba", 500), ("rae-mnist", 30.72), ("rae-cifar10", 18.432), ("rae-celeba", 2000)],
)
def test_wae_presets_are_in_units_of_the_summed_squared_error(preset: str, weight: float) -> None:
    assert WAEMMD.model_validate(WAEMMD.presets[preset]["objective"]).lam == pytest.approx(weight)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kernel", KERNELS)
def test_infovae_weights_and_the_discrepancy_of_draws_not_of_means(kernel: Kernel, dtype: torch.dtype) -> None:
    objective = InfoVAE(latent_size=3, alpha=-0.5, lam=20, kernel=kernel)
    model = objective.build(image_spec(), NETWORK).to(dtype)
    x, noise = batch(dtype=dtype), rng()
    posterior = model.posterior(x)
    z = posterior.sample(noise)
    draws = torch.randn(6, 3, generator=noise).to(dtype)
    expected = {
        "reconstruction": (model.decoder(z) - x).square().sum().item() / 6,
        "kl": 1.5 * kl_by_torch(*posterior),
        "mmd": 18.5 * mmd(z, draws, kernel, 6.0).item(),
    }
    assert values(objective.loss(model, x, rng())) == pytest.approx(expected, rel=1e-5)


def test_infovae_posteriors_equal_to_the_prior_have_no_discrepancy() -> None:
    """The means alone, all 0, would have a discrepancy above 1."""
    objective = InfoVAE(latent_size=4, alpha=1, lam=1)
    spec = Spec(modality="vector", shape=(8,), likelihood=Gaussian())
    model = VariationalAutoencoder(spec, torch.nn.Identity(), torch.nn.Linear(4, 8), 4)
    loss = values(objective.loss(model, torch.zeros(500, 8), rng()))
    assert loss["kl"] == 0
    assert abs(loss["mmd"]) < 0.05
    assert mmd(torch.zeros(500, 4), torch.randn(500, 4, generator=rng()), "imq", 8.0) > 1


def test_table_2_of_dime_is_twice_the_loss_of_pythae() -> None:
    """There the squared error is halved: 0.5 SSE + (1 - alpha) KL + (alpha + lambda - 1) MMD, and 0.5 SSE + beta KL."""
    x = batch(dtype=torch.float64)
    info = InfoVAE.model_validate({**InfoVAE.presets["dime-table2"]["objective"], "latent_size": 3})
    model = info.build(image_spec(), NETWORK).double()
    plain = values(InfoVAE(latent_size=3, alpha=0, lam=2).loss(model, x, rng()))  # weights of 1
    halved = 0.5 * plain["reconstruction"] + (1 - 0) * plain["kl"] + (0 + 1000 - 1) * plain["mmd"]
    assert info.loss(model, x, rng()).total.item() == pytest.approx(2 * halved)
    beta = BetaVAE.model_validate({**BetaVAE.presets["dime-table2"]["objective"], "latent_size": 3})
    assert beta.loss(model, x, rng()).total.item() == pytest.approx(
        2 * (0.5 * plain["reconstruction"] + 2 * plain["kl"])
    )


@pytest.mark.parametrize(
    ("objective", "options", "message"),
    [
        (InfoVAE, {"alpha": 1.5}, "less than or equal to 1"),
        (InfoVAE, {"alpha": 0.5, "lam": 0.2}, "--alpha 0.5 needs --lambda 0.5 or more, got 0.2"),
        (WAEMMD, {"distribution": "sphere", "sigma": 2.0}, "--sigma is for --prior gaussian"),
        (WAEMMD, {"latent_size": 1}, "greater than or equal to 2"),
        (CVVAE, {"sigma": 0}, "greater than 0"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    objective: type[InfoVAE | WAEMMD | CVVAE], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValidationError, match=message):
        objective(**options)
