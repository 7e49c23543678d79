"""The models of objectives, their players and their priors: each breach is told by the promise that it breaks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from good_objectives import Duel, Good, Plain, Posterior, broken

from dimecli.model import Autoencoder, VariationalAutoencoder
from dimecli.plugin import Fitted, Loss, Network, Objective, Spec


class DuelUnsaid(Duel):
    @property
    def players(self) -> Mapping[str, float]:
        return {}


class DuelLost(Duel):
    def loss(self, model: Any, x: torch.Tensor, rng: torch.Generator) -> Loss:
        return Loss(nll=super().loss(model, x, rng).terms["nll"])


class DuelMissing(Duel):
    def build(self, spec: Spec, network: Network) -> Autoencoder:
        return Good(latent_size=self.latent_size).build(spec, network)

    def loss(self, model: Any, x: torch.Tensor, rng: torch.Generator) -> Loss:
        z = model.encode(x)
        return Loss(players={"critic": z.mean()}, nll=self.reconstruction(model, x, z))


class DuelTwice(Duel):
    def loss(self, model: Any, x: torch.Tensor, rng: torch.Generator) -> Loss:
        loss = super().loss(model, x, rng)
        return Loss(players=loss.players, critic=loss.total)


class DuelDetached(Duel):
    def loss(self, model: Any, x: torch.Tensor, rng: torch.Generator) -> Loss:
        loss = super().loss(model, x, rng)
        return Loss(players={"critic": 0 * loss.players["critic"]}, **loss.terms)


class Off(Plain):
    """Says sphere, but stays flat."""

    latent_space = "sphere"

    def build(self, spec: Spec, network: Network) -> Autoencoder:
        return Autoencoder(spec, network.encoder(spec, 4), network.decoder(spec, 4), 4)


class Wide(Plain):
    """Its model says another latent size than its codes have."""

    def build(self, spec: Spec, network: Network) -> Autoencoder:
        return Autoencoder(spec, network.encoder(spec, 4), network.decoder(spec, 4), 5)


class Spoiled(Autoencoder):
    def generate(self, z: torch.Tensor, rng: torch.Generator | None = None, reserve: bool = True) -> torch.Tensor:
        x = super().generate(z, rng, reserve)
        return x.double() if x.is_floating_point() else torch.zeros_like(x)


class Truncated(Plain):
    """Does not let the likelihood decode."""

    modalities = frozenset({"sentence"})

    def build(self, spec: Spec, network: Network) -> Autoencoder:
        return Spoiled(spec, network.encoder(spec, 4), network.decoder(spec, 4), 4)


class Double(Truncated):
    """Numbers of another type than the data."""

    modalities = frozenset({"vector"})


class Normal:
    """A normal distribution of too many dimensions."""

    def sample(self, n: int, rng: torch.Generator) -> torch.Tensor:
        return torch.randn(n, 9, generator=rng)

    def log_prob(self, z: torch.Tensor) -> torch.Tensor:
        return -0.5 * z.square().sum(1)

    def state(self) -> dict[str, torch.Tensor]:
        return {}


class BadPrior(Plain):
    def prior(self, model: Autoencoder) -> Fitted:
        return Normal()


class MeanDensity(VariationalAutoencoder):
    def infer(self, x: torch.Tensor, rng: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        z, log_prob = super().infer(x, rng)
        return z, log_prob.mean()


class PosteriorShape(Posterior):
    def model(self) -> type[VariationalAutoencoder]:
        return MeanDensity


class LowBound(VariationalAutoencoder):
    def log_prob(self, x: torch.Tensor, rng: torch.Generator, draws: int = 500) -> torch.Tensor:
        return torch.stack([self.log_weight(x, rng) for _ in range(draws)]).mean(0) - 1


class PosteriorLow(Posterior):
    def model(self) -> type[VariationalAutoencoder]:
        return LowBound


LOSSES = "each player has a loss, and nobody else has one"
BREACHES: dict[type[Objective], dict[str, str]] = {
    DuelUnsaid: {LOSSES: "there are losses of ['critic']; give those of []"},
    DuelLost: {LOSSES: "there are losses of []; give those of ['critic']"},
    DuelMissing: {"each player is a submodule of the model": "the model has no submodule ['critic']"},
    DuelTwice: {"no term is called as a player": "['critic'] are both"},
    DuelDetached: {"gradients of its own loss reach every weight of a player": "none reaches critic.weight"},
    Off: {"encode(x) gives codes on the unit sphere": "divide codes by their length"},
    Wide: {"encode(x) gives codes of the latent size": "encode(x) is (32, 4); return (32, 5)"},
    Truncated: {
        "generate(z) gives complete sentences": "choose among what the likelihood allows",
        "generate(z, rng) gives complete sentences": "choose among what the likelihood allows",
    },
    Double: {
        "generate(z) gives data": "generate(z) is torch.float64; return torch.float32, as the data",
        "generate(z, rng) gives data": "generate(z, rng) is torch.float64",
    },
    BadPrior: {"sample(n, rng) draws n finite codes": "sample(50, rng) is (50, 9); return (50, 4)"},
    PosteriorShape: {"infer(x, rng) gives codes and their log-density": "log q(z|x) of infer(x, rng) is ()"},
    PosteriorLow: {
        "log_prob(x, rng, draws) is at least the mean of log_weight over the same draws": "it is below",
    },
}


@pytest.mark.parametrize("objective", BREACHES, ids=lambda objective: objective.__name__)
def test_a_breach_is_told_by_its_own_promise(objective: type[Objective]) -> None:
    found = broken(objective())
    assert found.keys() == BREACHES[objective].keys()
    for promise, reason in BREACHES[objective].items():
        assert reason in found[promise]
