"""Objectives that keep the contract, for others to break one promise each; and what is told of those."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from dimecli.distributed import gather
from dimecli.model import Autoencoder, VariationalAutoencoder
from dimecli.nn.potential import log_potential
from dimecli.plugin import Loss, Network, Objective, Spec
from dimecli.testing import Contract, Finding
from dimecli.testing.objectives import check_objective


def findings(objective: Objective) -> list[Finding]:
    contract = Contract()
    with contract.section(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        check_objective(contract, objective)
    return contract.findings


def broken(objective: Objective) -> dict[str, str]:
    """What is wrong, by the promise that is broken."""
    return {finding.promise: finding.reason for finding in findings(objective) if not finding.held}


class Good(Objective):
    """Reconstruction of vectors from codes with a little noise."""

    modalities = frozenset({"vector"})  # one of them takes a third of the time

    def loss(self, model: Any, x: torch.Tensor, rng: torch.Generator) -> Loss:
        z = model.encode(x)
        noisy = z + 0.01 * torch.randn(z.shape, generator=rng)
        return Loss(nll=self.reconstruction(model, x, noisy), length=0.1 * z.square().mean())


class Plain(Good):
    """Reconstruction, for objectives that add something to it."""

    def loss(self, model: Any, x: torch.Tensor, rng: torch.Generator) -> Loss:
        return Loss(nll=self.reconstruction(model, x, model.encode(x)))


class Spread(Plain):
    """Codes that keep apart over the whole batch."""

    def loss(self, model: Any, x: torch.Tensor, rng: torch.Generator) -> Loss:
        z = model.encode(x)
        return Loss(nll=self.reconstruction(model, x, z), information=log_potential(gather(z), 1.0))


class Duel(Good):
    """A critic that learns by itself."""

    @property
    def players(self) -> Mapping[str, float]:
        return {"critic": 1e-3}

    def build(self, spec: Spec, network: Network) -> Autoencoder:
        model = super().build(spec, network)
        model.critic = nn.Linear(self.latent_size, 1)
        return model

    def loss(self, model: Any, x: torch.Tensor, rng: torch.Generator) -> Loss:
        z = model.encode(x)
        return Loss(players={"critic": model.critic(z).square().mean()}, nll=self.reconstruction(model, x, z))


class Posterior(Good):
    """A posterior, and a model that a subclass may spoil."""

    def build(self, spec: Spec, network: Network) -> Autoencoder:
        return self.model().of(spec, network, self.latent_size)

    def model(self) -> type[VariationalAutoencoder]:
        return VariationalAutoencoder

    def loss(self, model: Any, x: torch.Tensor, rng: torch.Generator) -> Loss:
        posterior = model.posterior(x)
        return Loss(nll=self.reconstruction(model, x, posterior.sample(rng)), kl=posterior.kl().mean())


class Gated(Plain):
    """A layer behind a gate that is closed at first, so that no gradient comes through."""

    def build(self, spec: Spec, network: Network) -> Autoencoder:
        class Gate(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.layer, self.gate = nn.Linear(4, 4), nn.Parameter(torch.zeros(()))

            def forward(self, z: torch.Tensor) -> torch.Tensor:
                opened: torch.Tensor = z + self.gate * self.layer(z)
                return opened

        model = super().build(spec, network)
        model.encoder = nn.Sequential(model.encoder, Gate())
        return model


class WarmUp(Plain):
    """A term whose weight grows with the steps, faster than learning lowers it."""

    def build(self, spec: Spec, network: Network) -> Autoencoder:
        model = super().build(spec, network)
        model.register_buffer("steps", torch.zeros(()))
        return model

    def loss(self, model: Any, x: torch.Tensor, rng: torch.Generator) -> Loss:
        z, steps = model.encode(x), model.steps.clone()
        model.steps += 1
        return Loss(nll=self.reconstruction(model, x, z), length=steps * (1 + z.square().mean()))


class Frozen(Plain):
    """A layer that is not to learn."""

    def build(self, spec: Spec, network: Network) -> Autoencoder:
        model = super().build(spec, network)
        model.encoder = nn.Sequential(model.encoder, nn.Linear(4, 4).requires_grad_(False))
        return model


class Alone(Plain):
    """A term of the batch that only one process can have, and says so."""

    data_parallel = False

    def loss(self, model: Any, x: torch.Tensor, rng: torch.Generator) -> Loss:
        z = model.encode(x)
        return Loss(nll=self.reconstruction(model, x, z), spread=-z.var(0, correction=0).mean())
