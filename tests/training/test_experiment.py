"""What cannot be trained together is refused before any work."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dimecli.api import train
from dimecli.errors import UserError
from dimecli.registry import make

SOURCE = '''
from dimecli.plugin import Loss, Objective


class Seen(Objective):
    """For images."""

    modalities = frozenset({"image"})

    def loss(self, model, x, rng):
        return Loss(reconstruction=self.reconstruction(model, x, model.encode(x)))


class Alone(Seen):
    """For one process."""

    data_parallel = False
'''
POINTS = {"dimecli.objectives": "seen = few_objectives:Seen\nalone = few_objectives:Alone"}


@pytest.fixture(autouse=True)
def few(install: Callable[..., None]) -> None:
    install("dime-few", "1.0", POINTS, few_objectives=SOURCE)


def test_data_that_an_objective_does_not_take(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        train("seen", "gaussian-mixture", runs=tmp_path / "runs")
    said = "objective 'seen' takes images; dataset 'gaussian-mixture' gives vectors; try objective 'dime'"
    assert str(caught.value) == said
    assert not (tmp_path / "runs").exists()


def test_the_default_objective_is_no_cure_where_it_does_not_take_the_data_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dimecli.training.experiment.optional", lambda role: "seen")
    with pytest.raises(UserError, match="gives vectors; choose another objective"):
        train("seen", "gaussian-mixture", runs=tmp_path / "runs")


def test_data_that_an_objective_takes(tmp_path: Path) -> None:
    assert train("seen", "digits", make("network", "mlp", widths=(4,)), runs=tmp_path, max_steps=2, device="cpu").path


def test_several_processes_do_not_train_what_one_has_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UserError) as caught:
        train("alone", "digits", runs=tmp_path / "runs", device="cpu")
    assert str(caught.value) == "objective 'alone' is trained by one process, got 2; start it without torchrun"
    assert not (tmp_path / "runs").exists()
