"""From nothing to samples on the command line, with nothing replaced."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any


def test_train_then_sample_then_clean_up(dime: Callable[..., Any]) -> None:
    trained = dime("train", "vae", "--epochs", "1", "--widths", "8", "--device", "cpu", "--json")
    assert trained.code == 0, trained.err
    assert set(trained.json) == {"run", "seconds", "terms"}
    assert {"reconstruction", "kl"} <= set(trained.json["terms"])
    run = trained.json["run"]

    sampled = dime("sample", "--density", "gaussian", "-n", "5", "--device", "cpu", "--json")
    assert sampled.code == 0, sampled.err
    assert {key: sampled.json[key] for key in ("run", "density", "n")} == {"run": run, "density": "gaussian", "n": 5}
    suffixes = {Path(file).suffix for file in sampled.json["files"] if Path(file).stat().st_size > 0}
    assert suffixes == {".png", ".npz"}

    record = str(Path("runs", run, "run.json"))
    again = dime("train", "--config", record, "--dry-run").json
    assert again["objective"]["name"] == "vae"
    assert again["network"]["widths"] == [8]

    assert (
        dime("train", "--resume", run).err
        == f"Error: --resume {run}: the run is finished; there is nothing to resume\n"
    )
    assert dime("runs", "rm", run, "--yes").code == 0
    assert dime("runs", "--json").json == []
