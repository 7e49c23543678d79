"""The training loop, step by step: what it validates on, draws, clips, halves and saves, against references."""

import json
import os
from collections.abc import Callable, Iterable
from functools import partial
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from dimecli.api import resume, train
from dimecli.console import Reporter
from dimecli.data.batches import Batches
from dimecli.data.likelihood import Gaussian
from dimecli.data.samples import Samples
from dimecli.data.spec import Spec
from dimecli.model import Autoencoder, VariationalAutoencoder
from dimecli.plugin import Loss, Network, Objective
from dimecli.registry import make
from dimecli.run.folder import list_runs
from dimecli.seeds import Noise
from dimecli.training import checkpoint
from dimecli.training.settings import TrainSettings
from dimecli.training.step import Step, evaluate, gradient_shares
from dimecli.training.trainer import Trainer
from dimecli_plugins.objectives.vae import VAE

CPU = torch.device("cpu")
SPEC = Spec(modality="vector", shape=(4,), likelihood=Gaussian())
SMALL = make("network", "mlp", widths=(8,))
DTYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-11}


class Random(Network):
    """Dropout and a batch norm in the encoder: what differs between training and evaluation."""

    modalities = frozenset({"vector"})

    def encoder(self, spec: Spec, features: int) -> nn.Module:
        return nn.Sequential(nn.Linear(spec.elements, 6), nn.BatchNorm1d(6), nn.Dropout(0.5), nn.Linear(6, features))

    def decoder(self, spec: Spec, latent_size: int) -> nn.Module:
        return nn.Linear(latent_size, spec.elements)


def vectors(count: int) -> torch.Tensor:
    return torch.randn(count, 4, generator=torch.Generator().manual_seed(count))


def trainer(objective: str = "ae", network: Network = SMALL, per_epoch: int = 2, **settings: Any) -> Trainer:
    """A trainer of a tiny model with `per_epoch` steps of 10 samples."""
    chosen: Objective = make("objective", objective, latent_size=2)
    torch.manual_seed(0)
    model = chosen.build(SPEC, network)
    batches, held_out = (Batches(Samples(SPEC, vectors(n)), CPU) for n in (10 * per_epoch, 23))
    options = TrainSettings.model_validate({"batch_size": 10, "epochs": 2, **settings})
    return Trainer(chosen, model, options, batches, held_out, CPU, Reporter(quiet=True))


def before_each_step(trained: Trainer, look: Callable[[], object]) -> None:
    def hook(*arguments: Any) -> None:
        look()

    trained.players.optimizer.register_step_pre_hook(hook)


def history(folder: Path) -> list[dict[str, Any]]:
    """The records without the clock."""
    records = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
    return [without_clock(record) for record in records]


def without_clock(record: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in record.items() if key != "seconds"}


def script(monkeypatch: pytest.MonkeyPatch, folder: Path, losses: list[float]) -> None:
    """Let the validation after each epoch give the next of `losses`, after a resume too."""

    def scripted(step: Step, batches: Iterable[torch.Tensor]) -> dict[str, float]:
        file = folder / "history.jsonl"
        return {"total": losses[len(history(folder)) if file.exists() else 0]}

    monkeypatch.setattr("dimecli.training.trainer.evaluate", scripted)


def squared_error(model: Autoencoder, x: object) -> float:
    """Per sample, averaged over all of them: what the digits' Gaussian gives."""
    assert isinstance(x, torch.Tensor)
    with torch.no_grad():
        return float((model.decoder(model.encoder(x)) - x).double().square().sum((1, 2, 3)).mean())


@pytest.mark.parametrize("batch_size", [100, 60])
def test_validation_terms_are_those_of_the_held_out_samples(tmp_path: Path, batch_size: int) -> None:
    options: dict[str, Any] = {"epochs": 2, "keep": "last", "batch_size": batch_size, "device": "cpu"}
    run = train("ae", "digits", SMALL, runs=tmp_path, **options)
    held_out = run.experiment.dataset.training()[1]
    batches = max(1, len(held_out) // batch_size)
    taken = len(held_out) // batches * batches  # batches of one size
    error = squared_error(run.model, held_out.take(range(taken)).x)
    last = history(run.path)[-1]
    assert last["validation"] == pytest.approx({"reconstruction": error, "total": error}, rel=1e-5)
    assert run.results["terms"] == last["validation"]
    assert run.record["data"]["validation"] == len(held_out)


def test_training_terms_are_the_means_over_the_training_samples_of_each_epoch(tmp_path: Path) -> None:
    """Two batches are an epoch, and the rate is so low that the weights stay as they were."""
    training = make("dataset", "digits").training()[0]
    options: dict[str, Any] = {"epochs": 3, "batch_size": len(training) // 2, "lr": 1e-12, "device": "cpu"}
    run = train("ae", "digits", SMALL, runs=tmp_path, **options)
    error = squared_error(run.model, training.x)
    assert [record["step"] for record in history(run.path)] == [2, 4, 6]
    for record in history(run.path):
        assert record["train"] == pytest.approx({"reconstruction": error, "total": error}, rel=1e-5)


@DTYPES
def test_evaluation_switches_dropout_off_and_moves_nothing(dtype: torch.dtype) -> None:
    objective: Objective = make("objective", "dime", latent_size=2)
    torch.manual_seed(0)
    model = objective.build(SPEC, Random()).to(dtype)
    step = Step(objective, model, torch.Generator())
    batches = list(vectors(30).to(dtype).split(10))
    step(batches[0])  # running statistics that are not those of a fresh model
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}

    first, again = evaluate(step, batches), evaluate(step, batches)
    shares, shares_again = gradient_shares(step, batches[0]), gradient_shares(step, batches[0])

    assert first == again
    assert shares == shares_again
    assert all(module.training for module in model.modules()), "training goes on"
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert all(weight.grad is None for weight in model.parameters())
    model.eval()
    rows = [{name: term.item() for name, term in step(x).items()} for x in batches]
    means = {name: sum(row[name] for row in rows) / len(rows) for name in rows[0]}
    assert first == pytest.approx({**means, "total": sum(means.values())}, rel=TOLERANCE[dtype])


@DTYPES
@pytest.mark.parametrize("latent_size", [2, 5])
def test_gradient_shares_are_those_of_the_encoder_s_weights(dtype: torch.dtype, latent_size: int) -> None:
    objective: Objective = make("objective", "dime", latent_size=latent_size, lam=0.3)
    torch.manual_seed(1)
    model = objective.build(SPEC, SMALL).to(dtype)
    x = vectors(12).to(dtype)

    def shares(part: nn.Module) -> dict[str, float]:
        lengths = {}
        for name in ("reconstruction", "information"):
            model.zero_grad()
            objective.loss(model, x, torch.Generator()).terms[name].backward()
            squares = [weight.grad.double().square().sum() for weight in part.parameters() if weight.grad is not None]
            lengths[name] = float(torch.stack(squares).sum().sqrt())
        return {name: length / sum(lengths.values()) for name, length in lengths.items()}

    expected, of_all = shares(model.encoder), shares(model)
    assert of_all["information"] < 0.9 * expected["information"], "the decoder's weights would be seen"
    found = gradient_shares(Step(objective, model, torch.Generator()), x)
    assert found == pytest.approx(expected, rel=TOLERANCE[dtype])


def test_streams_of_seeds_processes_steps_and_generators_differ() -> None:
    def draws(seed: int, rank: int, step: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
        noise = Noise(seed, rank, CPU)
        noise.at(step)
        return tuple(torch.rand(4, generator=noise.rng).tolist()), tuple(torch.rand(4).tolist())

    cases = list(product((0, 1), (0, 1), (0, 1, 2)))
    streams = [stream for case in cases for stream in draws(*case)]
    assert len(set(streams)) == 2 * len(cases)
    assert [stream for case in cases for stream in draws(*case)] == streams


def test_a_process_draws_the_noise_of_its_rank(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    found, expected = trainer(seed=3).noise, Noise(3, 1, CPU)
    found.at(7)
    expected.at(7)
    assert torch.equal(torch.rand(4, generator=found.rng), torch.rand(4, generator=expected.rng))


def test_every_step_draws_noise_of_its_own_and_every_validation_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = trainer("vae")
    drawn: dict[bool, list[tuple[float, ...]]] = {True: [], False: []}
    dropped: set[bytes] = set()
    real = VAE.loss

    def loss(self: VAE, model: VariationalAutoencoder, x: torch.Tensor, rng: torch.Generator) -> Loss:
        drawn[model.training].append(tuple(torch.rand(4, generator=rng.clone_state()).tolist()))
        if model.training:
            dropped.add(torch.get_rng_state().numpy().tobytes())
        return real(self, model, x, rng)

    monkeypatch.setattr(VAE, "loss", loss)
    monkeypatch.setattr("dimecli.training.trainer.gradient_shares", lambda step, x: {})
    trained.fit(tmp_path)
    assert len(set(drawn[True])) == len(drawn[True]) == len(dropped) == 4
    assert drawn[False][:2] == drawn[False][2:], "two batches per validation"
    assert len(set(drawn[False])) == 2


@pytest.mark.parametrize("share", [0.5, 2.0], ids=["shortened", "left alone"])
def test_clip_is_the_length_of_the_gradient_that_reaches_the_optimiser(tmp_path: Path, share: float) -> None:
    def gradients(clip: float | None) -> torch.Tensor:
        """Of the first step, all in one vector."""
        found: list[torch.Tensor] = []
        trained = trainer(clip=clip, max_steps=1)
        (tmp_path / f"{clip}").mkdir()

        def look() -> None:
            gradients = [weight.grad.flatten() for weight in trained.model.parameters() if weight.grad is not None]
            found.append(torch.cat(gradients))

        before_each_step(trained, look)
        trained.fit(tmp_path / f"{clip}")
        return found[0].double()

    free = gradients(None)
    length = free.norm().item()
    clipped = gradients(share * length)
    assert clipped.norm().item() == pytest.approx(min(share, 1) * length, rel=1e-4)
    torch.testing.assert_close(clipped / clipped.norm(), free / length, rtol=1e-4, atol=1e-6)


PLATEAUS = [  # patience, validation losses, halvings of the rate with which each epoch is trained
    (1, [5, 4, 4, 3, 6, 6, 2, 1], [0, 0, 0, 1, 1, 2, 3, 3]),  # as good as the best is no progress
    (2, [5, 6, 4, 6, 6, 6, 3, 7, 3, 9], [0, 0, 0, 0, 0, 1, 1, 1, 1, 2]),  # progress and halving both start anew
]


@pytest.mark.parametrize(("patience", "losses", "halvings"), PLATEAUS, ids=["patience 1", "patience 2"])
@pytest.mark.parametrize("schedule", ["plateau", "constant"])
def test_plateau_halves_after_exactly_these_epochs(
    patience: int, losses: list[float], halvings: list[int], schedule: str, tmp_path: Path, monkeypatch: Any
) -> None:
    script(monkeypatch, tmp_path, losses)
    trained = trainer(schedule=schedule, patience=patience, epochs=len(losses), lr=0.01)
    rates: list[float] = []
    before_each_step(trained, lambda: rates.append(trained.players.optimizer.param_groups[0]["lr"]))
    results = trained.fit(tmp_path)
    expected = [0.01 * 0.5 ** (count if schedule == "plateau" else 0) for count in halvings]
    assert rates == [rate for rate in expected for _ in range(2)]
    assert [record["lr"] for record in history(tmp_path)] == expected
    assert results["kept_step"] == 2 * (losses.index(min(losses)) + 1)


class Killed(BaseException):
    """The process is gone: nothing after it runs, or its writes are refused."""


def test_stopped_at_any_step_with_dropout_noise_and_a_plateau(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Best in the third of eight epochs, rates halved after the fifth and the seventh."""
    settings: dict[str, Any] = {"epochs": 8, "schedule": "plateau", "patience": 2, "lr": 0.05}
    losses: list[float] = [5, 6, 4, 6, 6, 6, 7, 8]
    (tmp_path / "whole").mkdir()
    script(monkeypatch, tmp_path / "whole", losses)
    whole = trainer("vae", Random(), **settings)
    expected = whole.fit(tmp_path / "whole")
    assert (expected["kept_step"], whole.state.step, whole.state.halvings) == (6, 16, 2)

    def stop_at(step: int) -> None:
        if stopped.state.step == step:
            raise Killed

    for step in range(1, 16):  # steps that were done
        folder = tmp_path / str(step)
        script(monkeypatch, folder, losses)
        stopped = trainer("vae", Random(), checkpoint_seconds=0, **settings)
        before_each_step(stopped, partial(stop_at, step))
        with pytest.raises(Killed):
            stopped.fit(folder)
        resumed = trainer("vae", Random(), **settings)
        torch.manual_seed(step)  # what another process's global generator holds
        assert without_clock(resumed.fit(folder, resume=True)) == without_clock(expected)
        assert history(folder) == history(tmp_path / "whole")
        for name, tensor in resumed.model.state_dict().items():
            assert torch.equal(tensor, whole.model.state_dict()[name]), name


def test_an_interrupted_plateau_resumes_from_its_run_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rate far too high: it was halved, and the best weights were left behind, before the interrupt."""
    settings: dict[str, Any] = {"epochs": 12, "schedule": "plateau", "patience": 1, "lr": 0.2}
    whole = train("ae", "digits", SMALL, runs=tmp_path / "whole", **settings)
    before = history(whole.path)[-2]
    stop = before["step"] + 5
    assert whole.results["kept_step"] < before["step"], "the best is older than the interrupt"
    assert before["lr"] < 0.2
    real = Trainer._train_on

    def interrupt(self: Trainer, *arguments: Any) -> None:
        if self.state.step == stop:
            raise KeyboardInterrupt
        real(self, *arguments)

    with monkeypatch.context() as patched:
        patched.setattr(Trainer, "_train_on", interrupt)
        with pytest.raises(KeyboardInterrupt):
            train("ae", "digits", SMALL, runs=tmp_path / "runs", checkpoint_seconds=0, **settings)
    resumed = resume(tmp_path / "runs" / list_runs(tmp_path / "runs")[0]["run"])
    assert resumed.record["weights"] == whole.record["weights"]
    assert without_clock(resumed.results) == without_clock(whole.results)
    assert history(resumed.path) == history(whole.path)


@pytest.mark.parametrize(("seconds", "expected"), [(0, [1, 2, 3, 4, 5, 6, 7, 8]), (3, [3, 6]), (1e9, [])])
def test_checkpoints_are_so_many_seconds_apart(
    seconds: float, expected: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two epochs of four steps, of which each takes a second."""
    clock, saved = SimpleNamespace(now=100.0), []
    monkeypatch.setattr("dimecli.training.trainer.time", SimpleNamespace(monotonic=lambda: clock.now))
    trained = trainer(per_epoch=4, checkpoint_seconds=seconds)

    def tick() -> None:
        clock.now += 1

    before_each_step(trained, tick)
    monkeypatch.setattr(checkpoint, "save", lambda path, state, *rest: saved.append(state.step))
    assert trained.fit(tmp_path)["seconds"] == 8
    assert saved == expected


def test_killed_before_any_rename_then_resumed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file is whole once it is renamed, so there is nothing else to lose: the end is the same every time."""
    settings: dict[str, Any] = {"epochs": 2, "batch_size": 400, "checkpoint_seconds": 0}
    real, renames = os.replace, 0

    def killed_at(last: float, runs: Path) -> Any:
        def replace(*paths: Any, **options: Any) -> None:
            nonlocal renames
            renames += 1
            if renames >= last:
                raise Killed
            real(*paths, **options)

        nonlocal renames
        renames = 0
        with monkeypatch.context() as patched:
            patched.setattr(os, "replace", replace)
            return train("vae", "digits", SMALL, runs=runs, **settings)

    whole = killed_at(float("inf"), tmp_path / "whole")
    assert whole.results["steps"] == 6
    total = renames
    assert total == 1 + 6 + 2, "the record, a checkpoint after every step, the weights and the record"
    for last in range(2, total + 1):
        runs = tmp_path / str(last)
        with pytest.raises(Killed):
            killed_at(last, runs)
        path = runs / list_runs(runs)[0]["run"]
        assert (path / "checkpoints" / "last.safetensors").exists() == (last > 2), "there is something to go on from"
        resumed = resume(path)
        assert resumed.record["weights"] == whole.record["weights"], f"killed before rename {last}"
        assert history(resumed.path) == history(whole.path), f"killed before rename {last}"
        assert without_clock(resumed.results) == without_clock(whole.results), f"killed before rename {last}"


def test_evaluation_has_no_gradients_and_hides_no_error() -> None:
    """pythae repeats an evaluation that failed, with gradients, whatever the reason was."""
    objective: Objective = make("objective", "ae", latent_size=2)
    model = objective.build(SPEC, SMALL)
    step, seen = Step(objective, model, torch.Generator()), []

    def forward(self: object, x: torch.Tensor) -> dict[str, torch.Tensor]:
        seen.append(torch.is_grad_enabled())
        raise RuntimeError("no such kernel")

    step.forward = forward.__get__(step)  # type: ignore[method-assign]
    with pytest.raises(RuntimeError, match="no such kernel"):
        evaluate(step, [vectors(4)])
    assert seen == [False]


class Decayed(Objective):
    """A term of the decoder alone, and one that the encoder has no part in any more."""

    def loss(self, model: Autoencoder, x: torch.Tensor, rng: torch.Generator) -> Loss:
        z = model.encode(x)
        decay = torch.stack([weight.square().sum() for weight in model.decoder.parameters()]).sum()
        return Loss(reconstruction=self.reconstruction(model, x, z), decay=decay, gone=0 * z.sum())


def test_a_term_of_the_decoder_alone_has_no_share_and_one_that_does_nothing_has_zero() -> None:
    objective = Decayed(latent_size=2)
    model = objective.build(SPEC, SMALL)
    assert gradient_shares(Step(objective, model, torch.Generator()), vectors(8)) == {"reconstruction": 1, "gone": 0}
