"""Two processes train as one, tried without starting any; objectives that do not let them are told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from good_objectives import Duel, Plain, Spread, broken

from dimecli.distributed import gather, rank, world
from dimecli.nn.potential import log_potential
from dimecli.plugin import Loss, Objective
from dimecli.testing.processes import together


class Blind(Plain):
    """Couples the samples of what this process has of the batch."""

    def loss(self, model: Any, x: torch.Tensor, rng: torch.Generator) -> Loss:
        z = model.encode(x)
        return Loss(nll=self.reconstruction(model, x, z), spread=-0.1 * z.var(0, correction=0).mean())


class BlindNoise(Blind):
    """The same with noise, of which both have the same."""

    def loss(self, model: Any, x: torch.Tensor, rng: torch.Generator) -> Loss:
        z = model.encode(x) + 0.05 * torch.randn(len(x), self.latent_size, generator=rng)
        return Loss(nll=self.reconstruction(model, x, z), spread=-z.var(0, correction=0).mean())


def exponential(rows: int, size: int, rng: torch.Generator) -> torch.Tensor:
    """Noise whose draws of two processes cannot be told from those of one, so that only means compare."""
    return 0.05 * torch.empty(rows, size).exponential_(generator=rng)


class Exponential(Spread):
    """Keeps the promise, with such noise."""

    def loss(self, model: Any, x: torch.Tensor, rng: torch.Generator) -> Loss:
        z = model.encode(x) + exponential(len(x), self.latent_size, rng)
        return Loss(nll=self.reconstruction(model, x, z), information=log_potential(gather(z), 1.0))


class BlindExponential(Blind):
    """Couples the samples of what this process has of the batch, with such noise."""

    def loss(self, model: Any, x: torch.Tensor, rng: torch.Generator) -> Loss:
        z = model.encode(x) + exponential(len(x), self.latent_size, rng)
        return Loss(nll=self.reconstruction(model, x, z), spread=-0.1 * z.var(0, correction=0).mean())


class HalfGradient(Spread):
    """The value of the whole batch, but the gradient of its own rows alone, as a plain all-gather gives it."""

    def loss(self, model: Any, x: torch.Tensor, rng: torch.Generator) -> Loss:
        z = model.encode(x)
        rows = list(gather(z).detach().chunk(world()))
        rows[rank()] = z
        return Loss(nll=self.reconstruction(model, x, z), information=log_potential(torch.cat(rows), 1.0))


class HalfGradientExponential(Spread):
    """The same with noise that they do not share."""

    def loss(self, model: Any, x: torch.Tensor, rng: torch.Generator) -> Loss:
        z = model.encode(x) + exponential(len(x), self.latent_size, rng)
        rows = list(gather(z).detach().chunk(world()))
        rows[rank()] = z
        return Loss(nll=self.reconstruction(model, x, z), information=log_potential(torch.cat(rows), 1.0))


class Summed(Plain):
    """A sum over the batch: half of it has half of the sum."""

    def loss(self, model: Any, x: torch.Tensor, rng: torch.Generator) -> Loss:
        return Loss(nll=model.nll(x, model.encode(x)).sum())


class Uneven(Plain):
    """One process waits for rows that the other never sends."""

    def loss(self, model: Any, x: torch.Tensor, rng: torch.Generator) -> Loss:
        z = model.encode(x)
        mean = gather(z).mean() if rank() == 0 else z.mean()
        return Loss(nll=self.reconstruction(model, x, z), mean=mean.square())


class DuelSummed(Duel):
    """The critic's loss alone is no mean."""

    def loss(self, model: Any, x: torch.Tensor, rng: torch.Generator) -> Loss:
        loss = super().loss(model, x, rng)
        return Loss(players={"critic": len(x) * loss.players["critic"]}, **loss.terms)


TWO_LOSSES = "their mean loss is that of one process on the whole batch"
TWO_GRADIENTS = "their mean gradient is that of one process on the whole batch"
BREACHES: dict[type[Objective], dict[str, str]] = {
    Blind: {TWO_LOSSES: "term 'spread' is ", TWO_GRADIENTS: "dimecli.distributed.gather"},
    BlindNoise: {TWO_LOSSES: "term 'spread' is ", TWO_GRADIENTS: "dimecli.distributed.gather"},
    BlindExponential: {TWO_LOSSES: "term 'spread' is ", TWO_GRADIENTS: "dimecli.distributed.gather"},
    HalfGradient: {TWO_GRADIENTS: "it is another; compute terms that couple"},
    HalfGradientExponential: {TWO_GRADIENTS: "it is another; compute terms that couple"},
    Summed: {TWO_LOSSES: "average the others over the batch", TWO_GRADIENTS: "average the others over the batch"},
    Uneven: {"each computes the loss of its half of the batch": "one process calls gather more often than the other"},
    DuelSummed: {TWO_LOSSES: "term 'critic' is ", TWO_GRADIENTS: "it is another"},
}


@pytest.mark.parametrize("objective", BREACHES, ids=lambda objective: objective.__name__)
def test_a_breach_is_told_by_its_own_promise(objective: type[Objective]) -> None:
    found = broken(objective())
    assert found.keys() == BREACHES[objective].keys()
    for promise, reason in BREACHES[objective].items():
        assert reason in found[promise]


def test_noise_that_processes_do_not_share_is_no_breach() -> None:
    assert broken(Exponential()) == {}


def test_pretended_processes_know_their_rank_and_gather_in_its_order() -> None:
    seen = []

    def loss(number: float) -> Callable[[], Loss]:
        def call() -> Loss:
            rows = gather(torch.tensor([number]))
            seen.append((rank(), world(), rows.tolist()))
            return Loss(total=rows.sum())

        return call

    losses = together(loss(2.0), loss(3.0))
    assert sorted(seen) == [(0, 2, [2.0, 3.0]), (1, 2, [2.0, 3.0])]
    assert [loss.total.item() for loss in losses] == [5.0, 5.0]
    assert (rank(), world()) == (0, 1), "the caller's thread is in no group"


def test_the_error_of_one_process_is_told_not_that_the_other_waits() -> None:
    def fails() -> Loss:
        raise ValueError("no codes")

    with pytest.raises(ValueError, match="no codes"):
        together(fails, lambda: Loss(total=gather(torch.ones(1)).sum()))
    with pytest.raises(AssertionError, match=r"one process gathers \(1,\), the other \(2,\)|\(2,\), the other \(1,\)"):
        together(lambda: Loss(t=gather(torch.ones(1)).sum()), lambda: Loss(t=gather(torch.ones(2)).sum()))
