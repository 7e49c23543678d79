"""The folder of a search: numbered, locked, found again, and never begun with other options."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from host_fakes import Climb, Wave
from pydantic import Field

from dimecli.errors import DimeError, UserError
from dimecli.plugin import Density
from dimecli.registry import find, make
from dimecli.run.lock import is_locked, lock
from dimecli.search.folder import create_search, describe, find_search, read_search, resume_search
from dimecli.search.result import Evaluation
from dimecli.search.settings import SearchSettings

GMM: Density = make("density", "gmm", components=3)


class Stepping(Climb):
    """A search with an option."""

    step: float = Field(1.0, gt=0, description="Step.")


class FileWave(Wave):
    """A problem that depends on a file."""

    path: Path

    @property
    def files(self) -> list[Path]:
        return [self.path]


def about(path: Path, **changes: Any) -> dict[str, Any]:
    run: Any = SimpleNamespace(path=path, record={"weights": changes.pop("weights", "w")})
    problem, search = changes.pop("problem", Wave()), changes.pop("search", Stepping())
    return describe(run, problem, search, changes.pop("density", GMM), SearchSettings(**changes))


def begun(path: Path, **changes: Any) -> Path:
    with create_search(path, about(path, **changes)) as folder:
        return folder.path


def test_everything_is_recorded(tmp_path: Path) -> None:
    path = begun(tmp_path, rounds=7)
    record = json.loads((path / "search.json").read_text())
    assert record == read_search(path)
    assert record["state"] == "running"
    assert (record["run"], record["weights"], record["search"]) == (tmp_path.name, "w", path.name)
    assert record["config"]["density"] == {"name": "gmm", **GMM.options()}
    assert record["config"]["search"] == {"name": f"{__name__}:Stepping", "step": 1.0}
    assert record["config"]["problem"] == {"name": "host_fakes:Wave", **Wave().options()}
    assert SearchSettings(**record["config"]["bo"]) == SearchSettings(rounds=7)
    assert record["plugins"] == {"problem": None, "search": None, "density": find("density", "gmm").record}


def test_folders_are_numbered_and_never_taken_twice(tmp_path: Path) -> None:
    names = [begun(tmp_path).name for _ in range(2)]
    (tmp_path / "bo" / "041-other").mkdir()
    (tmp_path / "bo" / "notes").mkdir()
    names.append(begun(tmp_path).name)
    assert names == ["001-Stepping", "002-Stepping", "042-Stepping"]


def test_a_search_goes_on_in_its_folder_though_the_problem_changes_to_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path)
    path = begun(Path("run"))
    with resume_search(Path("run") / "bo" / path.name, about(Path("run"))) as folder:
        monkeypatch.chdir(tmp_path / "other")
        folder.log().append(Evaluation(0, 0, "c", 1.0, "", None, (1.0,)))
        folder.finish({})
    assert path == tmp_path / "run" / "bo" / "001-Stepping"
    assert read_search(path)["state"] == "finished"
    assert (path / "results.jsonl").exists()


def test_logs_of_baselines_are_their_own(tmp_path: Path) -> None:
    with create_search(tmp_path, about(tmp_path)) as folder:
        files = [folder.log().file, folder.log("random").file]
    assert files == [folder.path / "results.jsonl", folder.path / "baseline-random.jsonl"]


def test_the_newest_unfinished_search_is_found(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"--resume: run {tmp_path.name} has no unfinished search"):
        find_search(tmp_path)
    first, second, third = (begun(tmp_path) for _ in range(3))
    (tmp_path / "bo" / "099-killed-at-once").mkdir()
    assert find_search(tmp_path) == third
    with resume_search(third, about(tmp_path)) as folder:
        folder.finish({"best": 1.5})
    assert read_search(third)["state"] == "finished"
    assert read_search(third)["results"] == {"best": 1.5}
    assert find_search(tmp_path) == second
    with lock(second, "searched"):
        assert find_search(tmp_path) == first
    with pytest.raises(UserError, match="it is finished; without --resume a new search begins"):
        resume_search(third, about(tmp_path)).__enter__()


def test_a_search_has_one_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dimecli.run.lock._PATIENCE", 0.0)
    with create_search(tmp_path, about(tmp_path)) as folder:
        assert is_locked(folder.path)
        with pytest.raises(UserError, match=r"Stepping is being searched by another process$"):
            resume_search(folder.path, about(tmp_path)).__enter__()
    assert not is_locked(folder.path)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"batch": 20}, "--batch was 50 and is 20 now"),
        ({"initial_from": "best"}, "--initial-from was None and is 'best' now"),
        ({"seed": 1}, "--seed was 0 and is 1 now"),
        ({"invalid": "drop"}, "--invalid was 'worst' and is 'drop' now"),
        ({"search": Stepping(step=2.0)}, "--step was 1.0 and is 2.0 now"),
        ({"search": Climb()}, f"--search was '{__name__}:Stepping' and is 'host_fakes:Climb' now"),
        ({"problem": Wave(least=0.5)}, "--least was None and is 0.5 now"),
        ({"density": make("density", "gmm")}, "--components was 3 and is 10 now"),
        ({"weights": "v"}, "had other weights"),
    ],
)
def test_what_decides_the_candidates_cannot_change(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    path = begun(tmp_path)
    before = (path / "search.json").read_bytes()
    with pytest.raises(UserError, match=f"--resume {re.escape(path.name)}: .*{re.escape(said)}") as caught:
        resume_search(path, about(tmp_path, **changes)).__enter__()
    assert "\n" not in str(caught.value)
    assert (path / "search.json").read_bytes() == before
    assert not is_locked(path)


def test_rounds_and_timeout_may_change(tmp_path: Path) -> None:
    path = begun(tmp_path)
    with resume_search(path, about(tmp_path, rounds=9, timeout=1.5)):
        pass
    record = read_search(path)
    assert (record["config"]["bo"]["rounds"], record["config"]["bo"]["timeout"]) == (9, 1.5)
    assert record["state"] == "running"


def test_a_file_of_the_problem_that_changed(tmp_path: Path) -> None:
    file = tmp_path / "f.py"
    file.write_text("1")
    path = begun(tmp_path, problem=FileWave(path=file))
    with resume_search(path, about(tmp_path, problem=FileWave(path=file))):
        pass
    file.write_text("2")
    with pytest.raises(UserError, match=r"f\.py changed since; without --resume a new search begins"):
        resume_search(path, about(tmp_path, problem=FileWave(path=file))).__enter__()


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "[" * 100_000, '{"schema": 1, "config": {}}', "\x00"])
def test_a_damaged_record_is_one_clear_line(tmp_path: Path, text: str) -> None:
    path = begun(tmp_path)
    (path / "search.json").write_text(text)
    with pytest.raises(DimeError, match=r"search\.json is damaged") as caught:
        read_search(path)
    assert "\n" not in str(caught.value)


def test_a_table_too_much_is_passed_over_and_no_files_are_damage(tmp_path: Path) -> None:
    path = begun(tmp_path)
    record = read_search(path)
    record["config"]["more"] = {"option": 1}
    (path / "search.json").write_text(json.dumps(record))
    with resume_search(path, about(tmp_path)):
        pass
    (path / "search.json").write_text(json.dumps({**record, "files": []}))
    with pytest.raises(DimeError, match=r"search\.json is damaged"):
        read_search(path)


def test_a_record_of_another_version(tmp_path: Path) -> None:
    path = begun(tmp_path)
    record = read_search(path)
    (path / "search.json").write_text(json.dumps({**record, "schema": 2}))
    with pytest.raises(DimeError, match="has schema 2, this dimecli reads 1; use the version that wrote it"):
        find_search(tmp_path)


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "bo").write_text("")
    with pytest.raises(DimeError, match=r"cannot write into .*bo: "):
        begun(tmp_path)
