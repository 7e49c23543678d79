"""The contract of objectives: what keeps it passes; a loss that does not is told by the promise that it breaks."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from good_objectives import Alone, Duel, Frozen, Gated, Good, Plain, Posterior, Spread, WarmUp, broken, findings
from torch import nn

from dimecli.distributed import gather, world
from dimecli.model import Autoencoder
from dimecli.plugin import Loss, Network, Objective, Spec


class Nothing(Good):
    modalities = frozenset()


class Stranger(Good):
    modalities = frozenset({"vector", "sound"})  # type: ignore[arg-type]


class Refusing(Good):
    def build(self, spec: Spec, network: Network) -> Autoencoder:
        raise NotImplementedError("vectors are for another day")


class NotFinite(Good):
    def loss(self, model: Any, x: torch.Tensor, rng: torch.Generator) -> Loss:
        return Loss(nll=model.nll(x, model.encode(x)).mean() / 0)


class Rows(Good):
    def loss(self, model: Any, x: torch.Tensor, rng: torch.Generator) -> Loss:
        return Loss(nll=model.nll(x, model.encode(x)))


class GlobalNoise(Good):
    def loss(self, model: Any, x: torch.Tensor, rng: torch.Generator) -> Loss:
        return Loss(nll=self.reconstruction(model, x, model.encode(x)) + 1e-3 * torch.rand(()))


class Unseeded(Good):
    def loss(self, model: Any, x: torch.Tensor, rng: torch.Generator) -> Loss:
        rng = torch.Generator()
        rng.seed()
        return Loss(nll=self.reconstruction(model, x, model.encode(x)) + 1e-3 * torch.rand((), generator=rng))


class Detached(Good):
    def loss(self, model: Any, x: torch.Tensor, rng: torch.Generator) -> Loss:
        return Loss(nll=self.reconstruction(model, x, model.encode(x).detach()))


class Idle(Plain):
    """A head beside encoder and decoder that no term uses."""

    def build(self, spec: Spec, network: Network) -> Autoencoder:
        model = super().build(spec, network)
        model.head = nn.Linear(self.latent_size, 2)
        return model


class Rising(Good):
    def loss(self, model: Any, x: torch.Tensor, rng: torch.Generator) -> Loss:
        nll = self.reconstruction(model, x, model.encode(x))
        return Loss(nll=2 * nll.detach() - nll)


class Sharp(Plain):
    """Adds what the encoder computes to float32, which in bfloat16 is another type."""

    class Sum(nn.Module):
        def forward(self, z: torch.Tensor) -> torch.Tensor:
            return torch.zeros(z.shape).index_add(1, torch.arange(z.shape[1]), z)

    def build(self, spec: Spec, network: Network) -> Autoencoder:
        model = super().build(spec, network)
        model.encoder = nn.Sequential(model.encoder, Sharp.Sum())
        return model


class Coarse(Plain):
    """Differences that are lost in 8 bits."""

    class Difference(nn.Module):
        def forward(self, z: torch.Tensor) -> torch.Tensor:
            return (z + 3e4) - 3e4

    def build(self, spec: Spec, network: Network) -> Autoencoder:
        model = super().build(spec, network)
        model.encoder = nn.Sequential(model.encoder, Coarse.Difference())
        return model

    def loss(self, model: Any, x: torch.Tensor, rng: torch.Generator) -> Loss:
        z = model.encode(x)
        return Loss(nll=0.1 * self.reconstruction(model, x, z), length=z.square().sum(1).mean())


class Scattered(Plain):
    """A variance that one sample has none of, over the batch that all processes have."""

    def loss(self, model: Any, x: torch.Tensor, rng: torch.Generator) -> Loss:
        z = model.encode(x)
        rows = gather(z)
        variance = (rows - rows.mean(0)).square().sum(0) / (len(rows) - 1)
        return Loss(nll=self.reconstruction(model, x, z), variance=variance.mean())


class Curt(Scattered):
    """Refuses one sample, without saying why."""

    def loss(self, model: Any, x: torch.Tensor, rng: torch.Generator) -> Loss:
        if world() * len(x) == 1:
            raise ValueError("bad batch")
        return super().loss(model, x, rng)


class NeedsGradient(Plain):
    """A gradient in the loss, which validation has turned off."""

    def loss(self, model: Any, x: torch.Tensor, rng: torch.Generator) -> Loss:
        z = model.encode(x)
        if not z.requires_grad:
            raise RuntimeError("element 0 of tensors does not require grad")
        return Loss(nll=self.reconstruction(model, x, z))


MODALITIES = "`modalities` names what it takes"
SEED = "the same seed gives the same loss"
REACH = "gradients reach every weight"
BFLOAT = "the loss in bfloat16, as of --precision bf16, is that in float32 but for rounding"
SINGLE = "a batch of one sample gives a finite loss, or an error that says how many it takes"
DESCENT = "20 steps of Adam lower the loss"
BREACHES: dict[type[Objective], dict[str, str]] = {
    Nothing: {MODALITIES: "it is empty; fill it with some of image, vector, sentence"},
    Stranger: {MODALITIES: "it names ['sound']; use some of image, vector, sentence"},
    Refusing: {"build gives a model that can be copied": "NotImplementedError: vectors are for another day"},
    NotFinite: {"the loss is finite": "term 'nll' is inf"},
    Rows: {"the loss is finite": "term 'nll' is (32,); return scalars"},
    GlobalNoise: {SEED: "draws from torch's global generator"},
    Unseeded: {SEED: "draw from `rng` only"},
    Detached: {REACH: "none reaches encoder.1.weight"},
    Idle: {REACH: "none reaches head.weight, head.bias"},
    Rising: {DESCENT: "mind the signs of its terms"},
    Sharp: {BFLOAT: "same scalar type"},
    Coarse: {BFLOAT: ", in float32 "},
    Scattered: {SINGLE: "term 'variance' is nan"},
    Curt: {SINGLE: "its error is 'bad batch'; say in one line how many samples the loss takes"},
    NeedsGradient: {"the loss is finite without gradients, in eval mode": "turn gradients on with torch.enable_grad()"},
}


@pytest.mark.parametrize("objective", BREACHES, ids=lambda objective: objective.__name__)
def test_a_breach_is_told_by_its_own_promise(objective: type[Objective]) -> None:
    found = broken(objective())
    assert found.keys() == BREACHES[objective].keys()
    for promise, reason in BREACHES[objective].items():
        assert reason in found[promise]


@pytest.mark.parametrize("objective", [Good, Plain, Spread, Duel, Posterior, Gated, WarmUp, Frozen, Alone])
def test_a_good_objective_keeps_every_promise(objective: type[Objective]) -> None:
    assert broken(objective()) == {}


def test_only_what_it_claims_is_tried() -> None:
    class Reader(Good):
        modalities = frozenset({"sentence"})

    places = {finding.where.split(" in ")[0] for finding in findings(Reader())}
    assert places == {"", "on sentences", "on sentences prior"}
