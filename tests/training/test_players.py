"""Several losses, optimisers, warm-up, moving averages and early stopping, against loops written out by hand."""

from __future__ import annotations

import copy
import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from dimecli.console import Reporter
from dimecli.data.batches import Batches
from dimecli.data.likelihood import Gaussian
from dimecli.data.samples import Samples
from dimecli.data.spec import Spec
from dimecli.model import Autoencoder
from dimecli.plugin import Loss, Network, Objective
from dimecli.registry import make
from dimecli.training.settings import TrainSettings
from dimecli.training.trainer import Trainer

CPU = torch.device("cpu")
SPEC = Spec(modality="vector", shape=(4,), likelihood=Gaussian())
SMALL = make("network", "mlp", widths=(8,), activation="tanh")


class Duel(Objective):
    """An autoencoder whose codes a critic cannot tell from zero."""

    @property
    def players(self) -> dict[str, float]:
        return {"critic": 0.05}

    def build(self, spec: Spec, network: Network) -> Autoencoder:
        model = super().build(spec, network)
        model.critic = nn.Linear(self.latent_size, 1)
        return model

    def loss(self, model: Any, x: torch.Tensor, rng: torch.Generator) -> Loss:
        z = model.encode(x)
        seen = model.critic(z).mean()
        return Loss(
            reconstruction=self.reconstruction(model, x, z),
            seen=seen.square(),
            players={"critic": (model.critic(z).mean() - 1).square()},  # not detached: the loop has to care for that
        )


def vectors(count: int) -> torch.Tensor:
    return torch.randn(count, 4, generator=torch.Generator().manual_seed(count))


def trainer(objective: Objective, per_epoch: int = 2, **settings: Any) -> Trainer:
    """A trainer of a tiny model with `per_epoch` steps of 10 samples."""
    torch.manual_seed(0)
    model = objective.build(SPEC, SMALL)
    batches, held_out = (Batches(Samples(SPEC, vectors(n)), CPU) for n in (10 * per_epoch, 23))
    options = TrainSettings.model_validate({"batch_size": 10, "epochs": 2, **settings})
    return Trainer(objective, model, options, batches, held_out, CPU, Reporter(quiet=True))


def batches_of(trained: Trainer) -> list[torch.Tensor]:
    """What the trainer takes its steps on, in its order."""
    settings = trained.settings
    return [x for epoch in range(settings.epochs) for x in trained.training.shuffled(10, settings.seed, epoch)]


def history(folder: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key != "seconds"} for line in lines]


def weights(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def assert_close(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name, tensor in found.items():
        torch.testing.assert_close(tensor, expected[name], rtol=1e-5, atol=1e-6, msg=name)


def split(model: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    named = list(model.named_parameters())
    return [p for n, p in named if not n.startswith("critic")], [p for n, p in named if n.startswith("critic")]


@pytest.mark.parametrize("clip", [None, 0.1])
def test_each_player_steps_down_its_own_loss_alone_at_its_own_rate(tmp_path: Path, clip: float | None) -> None:
    """Two optimisers by hand, each on the gradient of one loss with respect to its own weights."""
    objective = Duel(latent_size=2)
    trained = trainer(objective, clip=clip, keep="last", lr=0.02)
    model = copy.deepcopy(trained.model)
    trained.fit(tmp_path)
    ours, theirs = split(model)
    first, second = torch.optim.Adam(ours, lr=0.02), torch.optim.Adam(theirs, lr=0.05)
    for x in batches_of(trained):
        loss = objective.loss(model, x, torch.Generator())
        gradients = torch.autograd.grad(loss.total, ours, retain_graph=True)
        theirs_gradients = torch.autograd.grad(loss.players["critic"], theirs)
        for group, found in ((ours, gradients), (theirs, theirs_gradients)):
            for weight, gradient in zip(group, found, strict=True):
                weight.grad = gradient
            if clip is not None:
                nn.utils.clip_grad_norm_(group, clip)
        first.step()
        second.step()
    assert_close(weights(trained.model), weights(model))


def test_a_player_s_loss_is_logged_but_in_no_total_and_no_share(tmp_path: Path) -> None:
    trained = trainer(Duel(latent_size=2))
    results = trained.fit(tmp_path)
    last = history(tmp_path)[-1]
    for terms in (last["train"], last["validation"], results["terms"]):
        assert set(terms) == {"reconstruction", "seen", "critic", "total"}
        assert terms["total"] == pytest.approx(terms["reconstruction"] + terms["seen"], rel=1e-6)
    assert set(last["gradient_share"]) == {"reconstruction", "seen"}


class Weighted(Objective):
    """An autoencoder with a term to warm up, and one that is fixed."""

    fixed_terms = frozenset({"reconstruction", "fixed"})

    def loss(self, model: Any, x: torch.Tensor, rng: torch.Generator) -> Loss:
        z = model.encode(x)
        noise = torch.randn(z.shape, generator=rng)
        return Loss(
            reconstruction=self.reconstruction(model, x, z + 0.1 * noise),
            fixed=z.abs().mean(),
            warmed=z.square().sum(1).mean(),
        )


def test_warm_up_is_linear_in_steps_and_leaves_fixed_terms_alone(tmp_path: Path) -> None:
    objective = Weighted(latent_size=2)
    trained = trainer(objective, epochs=4, warm_up=3, keep="last", lr=0.02)
    model = copy.deepcopy(trained.model)
    trained.fit(tmp_path)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    warmed = []
    for step, x in enumerate(batches_of(trained)):
        trained.noise.at(step)
        terms = objective.loss(model, x, trained.noise.rng).terms
        warmed.append(terms["warmed"].item())
        optimizer.zero_grad()
        (terms["reconstruction"] + terms["fixed"] + min(1, step / 6) * terms["warmed"]).backward()
        optimizer.step()
    assert_close(weights(trained.model), weights(model))
    logged = [line["train"]["warmed"] for line in history(tmp_path)]
    means = [sum(warmed[step : step + 2]) / 2 for step in range(0, 8, 2)]
    assert logged == pytest.approx(means, rel=1e-4), "what is logged is never scaled"


def test_weights_of_a_warm_up_are_not_kept_as_the_best(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script(monkeypatch, tmp_path, [1, 2, 5, 4, 6])
    assert trainer(Weighted(latent_size=2), epochs=5, warm_up=3).fit(tmp_path)["kept_step"] == 8
    script(monkeypatch, tmp_path / "short", [1, 2])
    (tmp_path / "short").mkdir()
    assert trainer(Weighted(latent_size=2), epochs=2, warm_up=3).fit(tmp_path / "short")["kept_step"] == 4, "the last"


def script(monkeypatch: pytest.MonkeyPatch, folder: Path, losses: list[float]) -> None:
    """Let the validation after each epoch give the next of `losses`, after a resume too."""
    file = folder / "history.jsonl"
    monkeypatch.setattr(
        "dimecli.training.trainer.evaluate",
        lambda step, batches: {"total": losses[len(history(folder)) if file.exists() else 0]},
    )


@pytest.mark.parametrize(("early_stop", "epochs"), [(1, 3), (2, 6), (3, 7), (None, 8)])
def test_early_stopping_waits_for_exactly_so_many_epochs(
    early_stop: int | None, epochs: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses: list[float] = [5, 4, 6, 3, 4, 3, 4, 2]
    script(monkeypatch, tmp_path, losses)
    results = trainer(Weighted(latent_size=2), epochs=8, early_stop=early_stop).fit(tmp_path)
    assert len(history(tmp_path)) == epochs
    assert results["steps"] == 2 * epochs
    assert results["kept_step"] == 2 * (losses.index(min(losses[:epochs])) + 1)
    assert results["gradient_share"]


@pytest.mark.parametrize("keep", ["last", "best"])
def test_the_moving_average_is_what_is_validated_and_kept(keep: str, tmp_path: Path) -> None:
    objective = Weighted(latent_size=2)
    trained = trainer(objective, epochs=3, ema=0.7, keep=keep, lr=0.05)
    averages: list[dict[str, torch.Tensor]] = []
    real = trained.players.step

    def step(*arguments: Any) -> None:
        real(*arguments)
        now = weights(trained.model)
        before = averages[-1] if averages else now
        decay = min(0.7, (1 + len(averages)) / (10 + len(averages)))
        averages.append({name: decay * before[name] + (1 - decay) * tensor for name, tensor in now.items()})

    trained.players.step = step  # type: ignore[method-assign, assignment]
    results = trained.fit(tmp_path)
    assert_close(weights(trained.model), averages[results["kept_step"] - 1])
    model = copy.deepcopy(trained.model).eval()
    for record, average in zip(history(tmp_path), averages[1::2], strict=True):
        model.load_state_dict(average)
        trained.noise.at(0)
        held_out = [objective.loss(model, x, trained.noise.rng) for x in trained.validation.equal(10)]
        expected = sum(loss.terms["warmed"].item() for loss in held_out) / len(held_out)
        assert record["validation"]["warmed"] == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("optimizer", ["adam", "adamax", "adam-norm-grad"])
def test_optimizers_are_torch_s_and_norm_grad_divides_each_gradient_by_its_length(
    optimizer: Any, tmp_path: Path
) -> None:
    """The last is AdamNormGrad of VampPrior's and MIM's experiments."""
    objective = Weighted(latent_size=2)
    trained = trainer(objective, optimizer=optimizer, keep="last", lr=0.02)
    model = copy.deepcopy(trained.model)
    trained.fit(tmp_path)
    by_hand = (torch.optim.Adamax if optimizer == "adamax" else torch.optim.Adam)(model.parameters(), lr=0.02)
    for step, x in enumerate(batches_of(trained)):
        trained.noise.at(step)
        by_hand.zero_grad()
        objective.loss(model, x, trained.noise.rng).total.backward()
        for weight in model.parameters():
            assert weight.grad is not None
            if optimizer == "adam-norm-grad":
                weight.grad = weight.grad / (weight.grad.norm() + 1e-7)
        by_hand.step()
    assert_close(weights(trained.model), weights(model))


class Killed(BaseException):
    """The process is gone."""


EVERYTHING: dict[str, Any] = {"epochs": 9, "ema": 0.8, "warm_up": 2, "early_stop": 3, "clip": 1.0, "lr": 0.05}


@pytest.mark.parametrize("optimizer", ["adam", "adamax", "adam-norm-grad"])
def test_stopped_at_any_step_with_players_average_warm_up_and_early_stop(
    optimizer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Resuming gives the same bits: every state of the loop is in the checkpoint."""
    settings = {**EVERYTHING, "optimizer": optimizer}
    losses: list[float] = [9, 8, 5, 4, 6, 6, 7, 1, 1]
    (tmp_path / "whole").mkdir()
    script(monkeypatch, tmp_path / "whole", losses)
    whole = trainer(Duel(latent_size=2), **settings)
    expected = whole.fit(tmp_path / "whole")
    assert (whole.state.step, expected["kept_step"]) == (14, 8), "stopped early"

    def stop_at(step: int, *arguments: Any) -> None:
        if stopped.state.step == step:
            raise Killed

    for step in range(1, 14):
        folder = tmp_path / str(step)
        folder.mkdir()
        script(monkeypatch, folder, losses)
        stopped = trainer(Duel(latent_size=2), checkpoint_seconds=0, **settings)
        stopped.players.optimizer.register_step_pre_hook(partial(stop_at, step))
        with pytest.raises(Killed):
            stopped.fit(folder)
        resumed = trainer(Duel(latent_size=2), **settings)
        found = resumed.fit(folder, resume=True)
        assert {**found, "seconds": 0} == {**expected, "seconds": 0}
        assert history(folder) == history(tmp_path / "whole")
        for name, tensor in resumed.model.state_dict().items():
            assert torch.equal(tensor, whole.model.state_dict()[name]), name


def test_resumed_after_the_checkpoint_of_an_early_stop_it_is_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script(monkeypatch, tmp_path, [3, 4, 5, 1])
    settings: dict[str, Any] = {"epochs": 4, "early_stop": 2, "checkpoint_seconds": 0}
    stopped = trainer(Duel(latent_size=2), **settings)
    monkeypatch.setattr(stopped, "_finish", partial(pytest.fail, "gone"))
    with pytest.raises(pytest.fail.Exception):
        stopped.fit(tmp_path)
    results = trainer(Duel(latent_size=2), **settings).fit(tmp_path, resume=True)
    assert (results["steps"], results["kept_step"]) == (6, 2)


@pytest.mark.parametrize(("warm_up", "told"), [(1, False), (2, True), (5, True), (0, False)])
def test_a_warm_up_that_outlasts_the_training_is_told(
    warm_up: int, told: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    trained = trainer(Weighted(latent_size=2), epochs=2, warm_up=warm_up)
    monkeypatch.setattr(trained.reporter, "say", said.append)
    trained.fit(tmp_path)
    assert any("outlasts the training" in line for line in said) == told
