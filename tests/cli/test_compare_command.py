"""`dime compare`: what it prints, and what it says is missing."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dimecli.evaluation.record import Entry, keep
from dimecli.plugin import Measured

Dime = Callable[..., Any]
RunRecord = Callable[..., dict[str, Any]]


@pytest.fixture
def runs(tmp_path: Path, run_record: RunRecord) -> Path:
    """Two finished runs on the same data, one on other data of which nothing was measured, and one that failed."""
    measured = {
        "a": [Measured("fd", 3.0, "lower", conditions={"n": 10}), Measured("mi", 1.25, "higher", "nats", {"n": 5})],
        "b": [Measured("fd", 2.5, "lower", conditions={"n": 10})],
        "c": [],
    }
    for name, found in measured.items():
        path = tmp_path / "runs" / name
        path.mkdir(parents=True)
        record = run_record(
            created=f"2026-{name}", data={"fingerprints": {"train": str(name == "c"), "validation": "1"}}
        )
        record["config"] |= {"objective": {"name": "vae" if name == "b" else "dime"}, "train": {"seed": 1}}
        (path / "run.json").write_text(json.dumps(record))
        if found:
            keep(path, [Entry.of(one, {"split": "test"}, "dimecli 0.1.0", record["weights"]) for one in found])
    (tmp_path / "runs" / "d").mkdir()
    (tmp_path / "runs" / "d" / "run.json").write_text(json.dumps(run_record("failed")))
    return tmp_path / "runs"


def test_two_runs(dime: Dime, runs: Path) -> None:
    ran = dime("compare", "a", "b")
    assert ran.code == 0
    assert ran.out.splitlines() == [
        "dataset: 2 runs",
        "      objective  run",
        "dime  dime       a",
        "vae   vae        b",
        "",
        "                 dime  vae",
        "fd ↓ [1]         3     2.5 *",
        "mi (nats) ↑ [2]  1.25",
        "all: split test",
        "[1] n 10",
        "[2] n 5",
        "* the best value; how far chance moves it, further seeds tell",
    ]
    assert ran.err.splitlines() == [
        "An empty cell: not measured under these conditions, or not defined; dime evaluate RUN measures",
        f"Next: dime report {Path('runs/a')} {Path('runs/b')}",
    ]


def test_every_finished_run_by_default(dime: Dime, runs: Path) -> None:
    ran = dime("compare", "--json")
    assert [(run["run"], run["label"], run["data"]) for run in ran.json["runs"]] == [
        ("a", "dime 1", "dataset (1)"),
        ("b", "vae", "dataset (1)"),
        ("c", "dime 2", "dataset (2)"),
    ]
    assert [(row["metric"], row["values"], row["best"]) for row in ran.json["metrics"]] == [
        ("fd", {"dime 1": 3.0, "vae": 2.5}, ["vae"]),
        ("mi", {"dime 1": 1.25}, []),
    ]
    assert "Note: runs on different data are apart, because their numbers do not compare" in ran.err
    assert f"Nothing was measured of dime 2 yet: dime evaluate {Path('runs/c')}" in ran.err


def test_forms(dime: Dime, runs: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(dime("compare", "a", "b", "--csv", "--quiet").out)))
    assert [row["fd"] for row in rows] == ["3.0", "2.5"]
    assert "**2.5**" in dime("compare", "a", "b", "--markdown").out
    assert r"$\mathbf{2.5}$" in dime("compare", "a", "b", "--latex").out
    assert dime("compare", "a", "b", "--quiet") == (0, "", "")


def test_chosen_numbers(dime: Dime, runs: Path) -> None:
    found = dime("compare", "a", "b", "--metric", "mi, fd", "--json").json["metrics"]
    assert [row["metric"] for row in found] == ["mi", "fd"]


def test_damaged_numbers_are_told(dime: Dime, runs: Path) -> None:
    with (runs / "b" / "metrics.jsonl").open("a") as file:
        file.write("[]\n")
    ran = dime("compare", "a", "b")
    assert ran.code == 0
    assert f"Warning: {Path('runs/b/metrics.jsonl')}:2: damaged: " in ran.err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("a z", "no run 'z' in runs. Known: a, b, c, d."),
        ("a d", "run d is failed, not finished; only finished runs are compared"),
        ("a b --metric fid", "--metric fid: no such number was measured of these runs. Did you mean 'fd'?"),
        ("a --csv --latex", "--csv and --latex: choose one of the two"),
        ("--runs elsewhere", "no finished run in elsewhere; train one first: dime train"),
    ],
)
def test_mistakes(dime: Dime, runs: Path, words: str, says: str) -> None:
    ran = dime("compare", *words.split())
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith(f"Error: {says}")
