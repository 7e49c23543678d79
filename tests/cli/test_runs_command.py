from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Dime = Callable[..., Any]
RunRecord = Callable[..., dict[str, Any]]


@pytest.fixture
def run(tmp_path: Path, run_record: RunRecord) -> Path:
    """A finished run."""
    folder = tmp_path / "runs" / "2026-11-20-dime-digits-1"
    folder.mkdir(parents=True)
    config = {
        "objective": {"name": "dime", "lambda": 0.01},
        "dataset": {"name": "digits"},
        "network": {"name": "mlp", "widths": [5, 6]},
        "train": {},
    }
    (folder / "run.json").write_text(json.dumps(run_record(run=folder.name, config=config)))
    return folder


@pytest.mark.parametrize("words", [("runs",), ("runs", "list")])
def test_list(dime: Dime, run: Path, words: tuple[str, ...]) -> None:
    assert f"{run.name} finished dime digits mlp 0:01:01" in dime(*words).flat
    (row,) = dime(*words, "--json").json
    assert (row["run"], row["state"], row["seconds"]) == (run.name, "finished", 61.2)


def test_names_are_whole_on_a_narrow_terminal(dime: Dime, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**record, "error": "a long story " * 20}))
    monkeypatch.setenv("COLUMNS", "80")
    assert run.name in dime("runs").out


def test_list_of_no_runs(dime: Dime) -> None:
    assert dime("runs", "--runs", "none") == (0, "", "No runs in none. Next: dime train\n")
    assert dime("runs", "--runs", "none", "--json").json == []


def test_show(dime: Dime, run: Path) -> None:
    assert "config.objective.lambda 0.01" in dime("runs", "show").flat
    assert "config.network.widths 5,6" in dime("runs", "show").flat
    assert "results.terms.total 0.5" in dime("runs", "show", run.name).flat
    assert dime("runs", "show", str(run), "--json").json["results"]["seconds"] == 61.2


def test_rm_asks(dime: Dime, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    ran = dime("runs", "rm", run.name)
    assert ran.code == 1
    assert f"Delete {Path('runs') / run.name} and everything in it?" in ran.err
    assert run.exists()
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    assert dime("runs", "rm", run.name).code == 0
    assert not run.exists()


def test_rm_without_a_terminal_needs_yes(dime: Dime, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert dime("runs", "rm", run.name).code == 1
    assert run.exists()
    assert dime("runs", "rm", run.name, "--yes") == (0, "", f"Removed {Path('runs') / run.name}\n")
    assert not run.exists()


@pytest.mark.parametrize("words", ["show nope", "rm nope --yes"])
def test_mistakes(dime: Dime, run: Path, words: str) -> None:
    ran = dime("runs", *words.split())
    assert ran.code == 2
    assert "no run 'nope' in runs. Known: 2026-11-20-dime-digits-1." in ran.err


def test_rm_never_guesses_the_run(dime: Dime, run: Path) -> None:
    assert dime("runs", "rm", "--yes") == (2, "", "Error: Missing argument 'RUN'.\n")
