"""The run folder: made once, found by name, damaged without harm."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from dimecli.errors import DimeError, UserError
from dimecli.run.folder import (
    create_run,
    find_run,
    list_runs,
    process,
    read_record,
    remove_run,
    runs_folder,
    update_record,
)

REST: dict[str, Any] = {"plugins": {}, "spec": {}, "data": {}, "machine": {}}
CONFIG = {kind: {"name": name} for kind, name in (("objective", "ae"), ("dataset", "digits"), ("network", "mlp"))}


def make(runs: Path, **record: Any) -> Path:
    return create_run(runs, "ae", "digits", {"config": CONFIG, "process": process(), **REST, **record})


def test_names_count_up_and_nothing_is_overwritten(tmp_path: Path) -> None:
    first, second = make(tmp_path), make(tmp_path)
    assert first.name.endswith("-ae-digits-1")
    assert second.name.endswith("-ae-digits-2")
    (second / "run.json").unlink()
    assert make(tmp_path).name.endswith("-ae-digits-3")


def test_newest_finished_run_by_default(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="train one first: dime train"):
        find_run(None, tmp_path / "none")
    paths = [make(tmp_path) for _ in range(11)]
    for path in paths[:10]:
        update_record(path, state="finished")
    assert find_run(None, tmp_path) == paths[9], "the tenth is newer than the ninth, whatever the letters say"
    assert find_run(paths[0].name, tmp_path) == paths[0]
    assert find_run(str(paths[0]), tmp_path / "elsewhere") == paths[0]
    with pytest.raises(UserError, match=f"Did you mean '{paths[0].name}'"):
        find_run(paths[0].name.replace("digits", "digit"), tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [("{", "damaged"), ("[]", "damaged"), ('{"schema": 1}', "it lacks run, state"), ('{"schema": 99}', "schema 99")],
)
def test_a_damaged_or_foreign_record_is_one_clear_line(tmp_path: Path, text: str, message: str) -> None:
    path = make(tmp_path)
    (path / "run.json").write_text(text)
    with pytest.raises(DimeError, match=message) as caught:
        read_record(path)
    assert "\n" not in str(caught.value)
    assert list_runs(tmp_path)[0]["state"] == "damaged"
    remove_run(path)
    assert not path.exists()


def test_a_folder_that_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is no run"):
        read_record(tmp_path)
    with pytest.raises(UserError, match="is no run"):
        remove_run(tmp_path)
    assert tmp_path.exists()


def test_a_run_whose_process_is_gone_reads_as_interrupted(tmp_path: Path) -> None:
    path = make(tmp_path, process={"pid": 2**22 + 1, "host": os.uname().nodename})
    assert read_record(path)["state"] == "interrupted"
    update_record(path, process={"pid": os.getppid(), "host": os.uname().nodename})
    assert read_record(path)["state"] == "running"
    with pytest.raises(UserError, match="being trained by another process"):
        remove_run(path)
    update_record(path, process={"pid": 1, "host": "another-machine"})
    assert read_record(path)["state"] == "running", "nobody here can tell"


def test_an_unwritable_folder_names_the_option(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"--runs .*file.*: cannot make a run folder there: Not a directory"):
        make(tmp_path / "file" / "runs")


def test_runs_folder_prefers_what_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DIME_RUNS", raising=False)
    assert runs_folder() == Path("runs")
    monkeypatch.setenv("DIME_RUNS", "elsewhere")
    assert runs_folder() == Path("elsewhere")
    assert runs_folder("here") == Path("here")


def test_records_are_strict_json(tmp_path: Path) -> None:
    path = make(tmp_path)
    with pytest.raises(ValueError, match="JSON"):
        update_record(path, results={"loss": float("nan")})
    assert json.loads((path / "run.json").read_text())["state"] == "running", "the old record still stands"
