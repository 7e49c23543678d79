from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from dimecli.api import train
from dimecli.errors import DimeError
from dimecli.plugin.tracker import flat
from dimecli.registry import make


def rows(run: Path) -> list[dict[str, str]]:
    with (run / "history.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def record(tracking: Any, run: Path, step: int, **numbers: float) -> None:
    """As training does: into the history first."""
    with (run / "history.jsonl").open("a") as file:
        print(json.dumps({"step": step, **numbers}), file=file)
    tracking.record(step, numbers)


def test_the_table_of_a_run_has_the_numbers_of_its_history(tmp_path: Path) -> None:
    run = train("dime", "digits", make("network", "mlp", widths=(8,)), runs=tmp_path, trackers=["csv"], epochs=12)
    history = [flat(json.loads(line)) for line in (run.path / "history.jsonl").read_text().splitlines()]
    found = [{key: float(cell) for key, cell in row.items() if cell} for row in rows(run.path)]
    assert found == history
    assert "" in rows(run.path)[1].values(), "some epochs have no gradient shares"


def test_columns_come_as_numbers_do(tmp_path: Path) -> None:
    tracking = make("tracker", "csv").open(tmp_path, {}, None)
    record(tracking, tmp_path, 1, loss=0.5)
    record(tracking, tmp_path, 2, loss=0.25, share=1e-09)
    record(tracking, tmp_path, 3, share=-1.0)
    tracking.finish(None)
    assert (tmp_path / "history.csv").read_text() == "step,loss,share\n1,0.5,\n2,0.25,1e-09\n3,,-1.0\n"


def test_a_resumed_run_has_every_step_once(tmp_path: Path) -> None:
    first = make("tracker", "csv").open(tmp_path, {}, None)
    for step in (1, 2, 3):
        record(first, tmp_path, step, loss=1 / step)
    (tmp_path / "history.jsonl").write_text('{"step": 1, "loss": 1.0}\n')  # what a resumed training keeps
    with (tmp_path / "history.csv").open("a") as file:
        file.write("4,0.2")  # a kill cut it short
    resumed = make("tracker", "csv").open(tmp_path, {}, 1)
    for step in (2, 3):
        record(resumed, tmp_path, step, loss=1 / step, more=1.0)
    assert [(row["step"], row["more"]) for row in rows(tmp_path)] == [("1", ""), ("2", "1.0"), ("3", "1.0")]


def test_a_run_resumed_before_its_first_record(tmp_path: Path) -> None:
    tracking = make("tracker", "csv").open(tmp_path, {}, 0)
    record(tracking, tmp_path, 1, loss=0.5)
    assert rows(tmp_path) == [{"step": "1", "loss": "0.5"}]


def test_a_disk_that_refuses_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tracking = make("tracker", "csv").open(tmp_path, {}, None)

    def refuse(*arguments: Any, **options: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(DimeError, match=r"history\.csv: No space left on device"):
        tracking.record(1, {"loss": 0.5})
