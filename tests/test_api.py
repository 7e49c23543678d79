"""The Python API: mistakes in one line, and nothing of the caller's changed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import Field

from dimecli import distributed
from dimecli.api import train
from dimecli.data.samples import Samples
from dimecli.errors import UserError
from dimecli.registry import find, make
from dimecli.settings import Settings
from dimecli.training.settings import TrainSettings

NETWORK = make("network", "mlp", widths=(8,))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 0}, "epochs: should be greater than or equal to 1, got 0"),
        ({"epoch": 3}, r"no option 'epoch'\. Did you mean 'epochs'\?"),
        ({"schedule": "linear"}, r"schedule: should be 'constant', 'plateau' or 'cosine', got 'linear'"),
        ({"lr": float("nan")}, "lr: should be a finite number, got nan"),
        ({"settings": TrainSettings(), "epochs": 5}, r"train\(\) got settings and also epochs; give one of the two"),
    ],
)
def test_mistakes_in_how_to_train(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=f"^{message}") as caught:
        train("ae", "digits", NETWORK, runs=tmp_path / "runs", **options)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"gamma": -1}, "objective 'dime': gamma: should be greater than 0, got -1"),
        ({"lambd": 1}, r"objective 'dime': no option 'lambd'\. Did you mean 'lambda'\?"),
        ({"lam": "much"}, "objective 'dime': lam.*: should be a valid number, got 'much'"),
    ],
)
def test_mistakes_in_the_options_of_a_plugin(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=f"^{message}") as caught:
        make("objective", "dime", **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("given", ["settings", "options"])
def test_threads_are_the_caller_s(tmp_path: Path, given: str) -> None:
    threads = torch.get_num_threads()

    def attempt(number: int) -> Any:
        how: dict[str, Any] = {"threads": number, "epochs": 1}
        how = {"settings": TrainSettings(**how)} if given == "settings" else how
        return train("ae", "digits", NETWORK, runs=tmp_path / "runs", **how)

    with pytest.raises(UserError, match=rf"^threads: set torch\.set_num_threads\({threads + 1}\) yourself"):
        attempt(threads + 1)
    assert not (tmp_path / "runs").exists()
    assert attempt(threads).record["config"]["train"]["threads"] == threads


def test_paths_are_recorded_as_they_are_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Somewhere(Settings):
        path: Path = Field(Path("~/data"), description="Path.")
        other: Path | None = Field(None, description="Path.")

    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert Somewhere().options() == {"path": str(tmp_path / "data"), "other": None}
    assert Somewhere(other=Path("here")).options()["other"] == str(tmp_path / "here")
    assert Somewhere(other=Path("~nobody-of-that-name/x")).options()["other"].endswith("/~nobody-of-that-name/x")


def test_the_caller_s_generators_are_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def reseeded(seed: int) -> None:
        raise AssertionError("training on the CPU reseeds GPUs")

    monkeypatch.setattr(torch.cuda, "manual_seed_all", reseeded)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)  # torch warns of a fork that names no device
    monkeypatch.setattr(torch.random, "_fork_rng_warned_already", False)
    before = torch.get_rng_state()
    train("vae", "digits", NETWORK, runs=tmp_path, epochs=1, device="cpu")
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(("rank", "expected"), [(0, ["read", "meet"]), (1, ["meet", "read"])])
def test_process_0_reads_and_downloads_first(monkeypatch: pytest.MonkeyPatch, rank: int, expected: list[str]) -> None:
    from dimecli.training.experiment import Experiment
    from dimecli.training.start import _samples

    events: list[str] = []
    digits: Any = find("dataset", "digits").plugin

    def training(self: Any) -> tuple[Samples, Samples]:
        events.append("read")
        return split(self)

    def from_first(text: str, device: torch.device) -> str:
        events.append("meet")
        return text

    split: Callable[[Any], tuple[Samples, Samples]] = digits.training
    monkeypatch.setattr(digits, "training", training)
    monkeypatch.setattr(distributed, "from_first", from_first)
    monkeypatch.setenv("RANK", str(rank))
    experiment = Experiment(make("objective", "ae"), make("dataset", "digits"), NETWORK, TrainSettings())
    training_samples, _ = _samples(experiment, torch.device("cpu"))
    assert len(training_samples) > 0
    assert events == expected
