"""InfoMax-VAE and the adversarial autoencoder: losses, and that each player minimises its own alone."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch.distributions import Independent, Normal, kl_divergence

from dimecli.data.likelihood import Bernoulli, Gaussian
from dimecli.data.spec import Spec
from dimecli.distributions import StandardNormal
from dimecli.nn.normal import DiagonalNormal
from dimecli.plugin import Objective
from dimecli.testing.processes import together
from dimecli.training.players import Players
from dimecli.training.settings import TrainSettings
from dimecli_plugins.networks.mlp import MLP
from dimecli_plugins.objectives.aae import AAE
from dimecli_plugins.objectives.infomax_vae import InfoMaxVAE

DTYPES = [torch.float32, torch.float64]
SHAPES = [(1, 4, 4), (3, 5, 2)]
NETWORK = MLP(widths=(8,), activation="tanh")


def image_spec(shape: tuple[int, ...]) -> Spec:
    return Spec(modality="image", shape=shape, likelihood=Gaussian(bounded=True))


def batch(shape: tuple[int, ...], dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.rand(6, *shape, generator=torch.Generator().manual_seed(0), dtype=dtype)


def rng() -> torch.Generator:
    return torch.Generator().manual_seed(1)


def infomax(**options: Any) -> InfoMaxVAE:
    return InfoMaxVAE(latent_size=3, critic_widths=(8, 4), **options)


def aae(**options: Any) -> AAE:
    return AAE(latent_size=3, discriminator_widths=(8, 4), **options)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_infomax_is_eq_6(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    objective = infomax(alpha=7.0, beta=0.5)
    model: Any = objective.build(image_spec(shape), NETWORK).to(dtype)
    x = batch(shape, dtype)
    draws = rng()
    posterior = Independent(Normal(model.posterior(x).mean, (model.posterior(x).log_variance / 2).exp()), 1)
    z = posterior.mean + posterior.stddev * torch.randn(6, 3, generator=draws, dtype=dtype)
    other = z.roll(-int(torch.randint(1, 6, (), generator=draws)), 0)
    bound = model.critic(x, z).mean() - torch.exp(model.critic(x, other) - 1).mean()
    standard = Independent(Normal(torch.zeros(6, 3, dtype=dtype), 1.0), 1)
    loss = objective.loss(model, x, rng())
    expected = {
        "reconstruction": (model.decoder(z) - x).square().sum().item() / 6,
        "kl": 0.5 * kl_divergence(posterior, standard).mean().item(),
        "information": -7 * bound.item(),
    }
    assert {name: term.item() for name, term in loss.terms.items()} == pytest.approx(expected, rel=1e-4)
    assert loss.players["critic"].item() == pytest.approx(-bound.item(), rel=1e-4)


def test_infomax_weighs_the_kl_as_the_vae_does() -> None:
    x = batch((1, 4, 4))
    for likelihood, weight in [(Gaussian(bounded=True), 0.1), (Bernoulli(), 1.0), (Gaussian(noise="learned"), 1.0)]:
        model: Any = infomax().build(Spec(modality="image", shape=(1, 4, 4), likelihood=likelihood), NETWORK)
        kl = infomax().loss(model, x, rng()).terms["kl"].item()
        assert kl == pytest.approx(weight * model.posterior(x).kl().mean().item(), rel=1e-5)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_aae_is_binary_cross_entropy_of_codes_against_the_prior(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    objective = aae(lam=0.3)
    model: Any = objective.build(image_spec(shape), NETWORK).to(dtype)
    x = batch(shape, dtype)
    z = model.encode(x)
    of_codes = model.discriminator(z)
    of_prior = model.discriminator(torch.randn(6, 3, generator=rng(), dtype=dtype))
    ones, zeros = torch.ones_like(of_codes), torch.zeros_like(of_codes)
    loss = objective.loss(model, x, rng())
    expected = {
        "reconstruction": (model.decoder(z) - x).square().sum().item() / 6,
        "adversarial": 0.3 * F.binary_cross_entropy_with_logits(of_codes, ones).item(),
    }
    assert {name: term.item() for name, term in loss.terms.items()} == pytest.approx(expected, rel=1e-4)
    cross_entropy = F.binary_cross_entropy_with_logits(of_prior, ones) + F.binary_cross_entropy_with_logits(
        of_codes, zeros
    )
    assert loss.players["discriminator"].item() == pytest.approx(cross_entropy.item(), rel=1e-4)


def test_aae_encoder_has_a_gradient_where_the_discriminator_is_sure() -> None:
    """The saturating form, log(1 - D), would have exp(-40) of it."""
    objective = aae(lam=1.0)
    model: Any = objective.build(image_spec((1, 4, 4)), NETWORK)
    with torch.no_grad():
        model.discriminator[0][-1].bias -= 40
    x = batch((1, 4, 4))
    z = model.encode(x).detach().requires_grad_()
    model.encode = lambda x: z
    adversarial = objective.loss(model, x, rng()).terms["adversarial"]
    logits = model.discriminator(z)
    ours, steepest = (torch.autograd.grad(value, z)[0] for value in (adversarial, -logits.mean()))
    assert torch.allclose(ours, steepest, rtol=1e-4)
    assert ours.norm() > 1e-3


def test_aae_asks_codes_for_a_standard_normal() -> None:
    objective = aae()
    assert objective.prior(objective.build(image_spec((1, 4, 4)), NETWORK)) == StandardNormal(3)


@pytest.mark.parametrize(
    ("objective", "player"),
    [
        (infomax(), "critic"),
        (infomax(divergence="kl-dv"), "critic"),
        (infomax(alpha=0), "critic"),
        (aae(), "discriminator"),
    ],
)
def test_player_gradient_does_not_touch_the_encoder_nor_the_other_way_round(objective: Objective, player: str) -> None:
    """One step of all, from gradients taken before any weight moved, is each loss's own step on its own weights."""
    torch.manual_seed(0)
    model = objective.build(image_spec((1, 4, 4)), NETWORK)
    own, rival = copy.deepcopy(model), copy.deepcopy(model)
    x = batch((1, 4, 4))

    def step(model: Any) -> None:
        loss = objective.loss(model, x, rng())
        terms = loss.terms | loss.players
        players = Players(objective, model, TrainSettings(lr=0.1), torch.device("cpu"))
        players.step(terms, torch.stack(tuple(terms.values())), warmth=1, decay=1)

    step(model)
    mine = [weight for name, weight in own.named_parameters() if not name.startswith(player)]
    theirs = list(rival.get_submodule(player).parameters())
    for weights, twin, rate in [(mine, own, 0.1), (theirs, rival, objective.players[player])]:
        loss = objective.loss(twin, x, rng())
        optimizer = torch.optim.Adam(weights, lr=rate)
        (loss.total if twin is own else loss.players[player]).backward(inputs=weights)
        optimizer.step()
    stepped = dict(model.named_parameters())
    for name, weight in own.named_parameters():
        expected = rival.get_parameter(name) if name.startswith(player) else weight
        assert torch.allclose(stepped[name], expected, atol=1e-6), name


def test_critic_learns_the_information_of_a_noisy_channel() -> None:
    """z = x + noise with variances 1 and 0.5: the information is 1/2 log 3 nats, and the encoder is left alone."""
    torch.manual_seed(0)
    objective = InfoMaxVAE(latent_size=1, critic_widths=(32,), critic_lr=1e-2)
    spec = Spec(modality="vector", shape=(1,), likelihood=Gaussian())
    model: Any = objective.build(spec, MLP(widths=()))
    with torch.no_grad():
        model.encoder[-1].weight.copy_(torch.tensor([[1.0], [0.0]]))
        model.encoder[-1].bias.copy_(torch.tensor([0.0, math.log(0.5)]))
    draws = rng()
    optimizer = torch.optim.Adam(model.critic.parameters(), lr=1e-2)
    estimates = []
    for _ in range(400):
        loss = objective.loss(model, torch.randn(512, 1, generator=draws), draws).players["critic"]
        optimizer.zero_grad()
        loss.backward(inputs=list(model.critic.parameters()))
        optimizer.step()
        estimates.append(-loss.item())
    assert sum(estimates[-100:]) / 100 == pytest.approx(0.5 * math.log(3), abs=0.05)


@pytest.mark.parametrize(
    ("divergence", "critic", "said"),
    [("kl-f", -7.2, True), ("kl-dv", -7.2, True), ("kl-f", -6.8, False), ("chi2", -7.2, False), ("kl-f", 3.0, False)],
)
def test_an_estimate_of_the_information_above_log_n_is_told(divergence: Any, critic: float, said: bool) -> None:
    """1,000 samples have no more than 6.908 nats."""
    notes = InfoMaxVAE(divergence=divergence).notes({"critic": critic}, 1000)
    assert bool(notes) == (said and -critic > math.log(1000))
    assert all("is above log N = 6.908" in note for note in notes)


def test_pairs_are_shuffled_over_the_batch_of_all_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the shift, and codes without noise, given, two processes have the bound of one."""

    class Product(torch.nn.Module):
        def forward(self, x: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
            return (x.flatten(1)[:, : z.shape[1]] * z).sum(1)

    monkeypatch.setattr("dimecli_plugins.objectives.infomax_vae.shuffled", lambda z, rng: z.roll(1, 0))
    objective = InfoMaxVAE(latent_size=3)
    model = objective.build(image_spec((1, 4, 4)), NETWORK)
    model.critic = Product()
    monkeypatch.setattr(
        model, "posterior", lambda x: DiagonalNormal(3 * model.encoder(x)[:, :3], torch.full((len(x), 3), -60.0))
    )
    x = batch((1, 4, 4))
    one = objective.loss(model, x, rng())
    halves = together(
        lambda: objective.loss(model, x[:3], rng()),
        lambda: objective.loss(model, x[3:], rng()),
    )
    alone = objective.loss(model, x[:3], rng())
    assert not torch.isclose(alone.players["critic"], one.players["critic"], rtol=1e-3)
    for half in halves:
        torch.testing.assert_close(half.players["critic"], one.players["critic"], rtol=1e-5, atol=1e-6)
