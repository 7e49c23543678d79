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
    assert f"{run.name} finished 0:01:01 dime digits mlp" in dime(*words).flat
    (row,) = dime(*words, "--json").json
    assert (row["run"], row["state"], row["seconds"]) == (run.name, "finished", 61.2)


@pytest.mark.parametrize("columns", ["20", "80", None])
def test_nothing_is_cut_on_a_narrow_terminal_or_in_a_pipe(
    dime: Dime, run: Path, monkeypatch: pytest.MonkeyPatch, columns: str | None
) -> None:
    record = json.loads((run / "run.json").read_text())
    story = "a long\nstory \x1b[31m" * 20
    (run / "run.json").write_text(json.dumps({**record, "state": "interrupted", "error": story}))
    monkeypatch.setenv("COLUMNS", columns) if columns else monkeypatch.delenv("COLUMNS")
    head, row, error = dime("runs").out.splitlines()
    assert head.split() == ["run", "state", "time", "objective", "dataset", "network"]
    assert row.split() == [run.name, "interrupted", "0:01:01", "dime", "digits", "mlp"]
    assert head.index("state") == row.index("interrupted")
    assert error == "  " + " ".join((story.replace("\x1b", "")).split())


def test_a_run_that_may_not_be_read_hurts_no_other(dime: Dime, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Path.is_file
    (run.parent / "secret").mkdir()

    def is_file(path: Path) -> bool:
        if path.parent.name == "secret":
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(Path, "is_file", is_file)
    assert "secret damaged" in (ran := dime("runs")).flat
    assert f"{Path('runs/secret/run.json')} cannot be read: Permission denied" in ran.flat
    assert dime("runs", "show", "--json").json["run"] == run.name
    assert dime("runs", "show", "secret").code == 1


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


def test_of_many_runs_some_are_named(dime: Dime, run: Path) -> None:
    for number in range(30):
        (run.parent / f"more-{number:02d}").mkdir()
        (run.parent / f"more-{number:02d}" / "run.json").write_text("{}")
    ran = dime("runs", "show", "mre-25")
    assert "Did you mean 'more-25'?" in ran.err
    assert ran.err.endswith(", more-18 and 11 more.\n")


def test_rm_without_permission_deletes_nothing(dime: Dime, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (run / "codes").mkdir()
    monkeypatch.setattr("os.access", lambda path, mode: Path(path).name != "codes")
    ran = dime("runs", "rm", run.name, "--yes")
    assert ran.code == 1
    assert ran.err.startswith(f"Error: cannot delete {Path('runs') / run.name}: no permission to change ")
    assert sorted(path.name for path in run.iterdir()) == ["codes", "run.json"]
    assert [path.name for path in run.parent.iterdir()] == [run.name]


def test_what_rm_could_not_delete_is_no_run(dime: Dime, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("shutil.rmtree", refuse)
    ran = dime("runs", "rm", run.name, "--yes")
    assert (ran.code, ran.err.count("\n")) == (1, 1)
    assert "is left of it: Permission denied" in ran.err
    assert dime("runs", "--json").json == []


def test_rm_never_guesses_the_run(dime: Dime, run: Path) -> None:
    assert dime("runs", "rm", "--yes") == (2, "", "Error: Missing argument 'RUN'.\n")
