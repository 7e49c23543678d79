"""The multilayer perceptron: its layers, its choice by validation codes, its draws."""

from __future__ import annotations

import copy
from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F

from dimecli.plugin import FittedClassifier, Labelled
from dimecli_plugins.classifiers import mlp
from dimecli_plugins.classifiers.linear import Linear
from dimecli_plugins.classifiers.mlp import MLP


def rings(count: int, seed: int) -> Labelled:
    """Two classes that no linear layer tells apart: points near the origin, and around them."""
    rng = torch.Generator().manual_seed(seed)
    labels = torch.randint(2, (count,), generator=rng)
    codes = F.normalize(torch.randn(count, 2, generator=rng), dim=1)
    return Labelled(codes * (0.5 + labels[:, None]), labels, 2)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def accuracy(fitted: FittedClassifier, of: Labelled) -> float:
    return fitted.predict(of.codes).eq(of.labels).double().mean().item()


def test_it_tells_what_no_linear_layer_tells() -> None:
    train, validation, test = (rings(400, seed) for seed in range(3))
    assert accuracy(MLP(widths=(16, 16), steps=300, lr=1e-2).fit(train, validation, rng()), test) == 1.0
    assert accuracy(MLP(widths=(), steps=300, lr=1e-2).fit(train, validation, rng()), test) < 0.7


def test_without_hidden_layers_it_comes_to_logistic_regression() -> None:
    generator = rng()
    labels = torch.randint(3, (300,), generator=generator)
    codes = F.one_hot(labels, 4).float() + torch.randn(300, 4, generator=generator)
    train = Labelled(codes, labels, 3)
    layer = MLP(widths=(), steps=2000, batch_size=300, lr=3e-2).fit(train, train, rng())
    logits = F.linear(codes, layer.state()["0.weight"], layer.state()["0.bias"])
    state = Linear(c=1e4).fit(train, train, rng()).state()
    best = F.cross_entropy(F.linear(codes.double(), state["weight"], state["bias"]), labels).item()
    assert F.cross_entropy(logits, labels).item() == pytest.approx(best, abs=0.02)


@pytest.mark.parametrize(
    ("widths", "sizes"), [((), [6, 3]), ((0, 0), [6, 6, 6, 3]), ((5, 0, 4), [6, 5, 6, 4, 3]), ((1000, 500, 100), None)]
)
def test_widths(widths: tuple[int, ...], sizes: list[int] | None) -> None:
    few = Labelled(torch.randn(10, 6, generator=rng()), torch.arange(10) % 3, 3)
    state = MLP(widths=widths, steps=1).fit(few, few, rng()).state()
    shapes = [tuple(value.shape) for name, value in state.items() if name.endswith("weight")]
    wanted = sizes or [6, 1000, 500, 100, 3]
    assert shapes == [(after, before) for before, after in pairwise(wanted)]


def test_predictions_are_those_of_the_layers_without_dropout() -> None:
    train = rings(100, 0)
    fitted = MLP(widths=(7, 5), dropout=0.5, steps=20).fit(train, train, rng())
    state = fitted.state()
    x = train.codes
    for layer in (0, 3):
        x = F.relu(F.linear(x, state[f"{layer}.weight"], state[f"{layer}.bias"]))
    logits = F.linear(x, state["6.weight"], state["6.bias"])
    assert torch.equal(fitted.predict(train.codes), logits.argmax(1))
    assert torch.equal(fitted.predict(train.codes), fitted.predict(train.codes))


def test_the_weights_that_tell_most_of_the_validation_codes_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    right = [1, 3, 2, 3, 0, 0, 0, 9]  # at each check, if the fit went on so long
    seen: list[dict[str, torch.Tensor]] = []

    class Planned(mlp.MLPFit):
        def predict(self, codes: torch.Tensor) -> torch.Tensor:
            assert not self.network.training
            seen.append(copy.deepcopy(self.network.state_dict()))
            return (torch.arange(len(codes)) >= right[len(seen) - 1]).long()

    monkeypatch.setattr(mlp, "MLPFit", Planned)
    validation = Labelled(torch.zeros(10, 2), torch.zeros(10, dtype=torch.int64), 2)
    kept = MLP(widths=(4,), steps=3 * mlp.CHECKS).fit(rings(50, 0), validation, rng()).state()
    assert len(seen) == 2 + mlp.PATIENCE  # the second check was the best
    assert all(torch.equal(kept[name], seen[1][name]) for name in kept)
    assert not torch.equal(kept["0.weight"], seen[3]["0.weight"])  # one that tells as many later does not count


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_the_seed_decides_all(dropout: float) -> None:
    train = rings(100, 0)
    perceptron = MLP(widths=(8,), dropout=dropout, steps=20)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        first = perceptron.fit(train, train, rng(3)).state()
        torch.manual_seed(2)
        again, other = (perceptron.fit(train, train, rng(seed)).state() for seed in (3, 4))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["0.weight"], other["0.weight"])


def test_dropout_leaves_out_hidden_units_in_training() -> None:
    train = rings(100, 0)
    plain, dropped = (MLP(widths=(8,), dropout=p, steps=5).fit(train, train, rng()).state() for p in (0.0, 0.9))
    assert not torch.equal(plain["0.weight"], dropped["0.weight"])
