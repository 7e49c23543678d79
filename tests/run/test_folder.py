"""The run folder: made once, found by name, damaged without harm."""

import json
from pathlib import Path
from typing import Any

import pytest

from dimecli.errors import DimeError, UserError
from dimecli.run.folder import (
    create_run,
    find_run,
    find_runs,
    list_runs,
    newest_run,
    read_record,
    remove_run,
    runs_folder,
    update_record,
    write_record,
)
from dimecli.run.lock import lock

KINDS = ("objective", "dataset", "network")
RECORD: dict[str, Any] = {
    "config": {**{kind: {"name": f"any {kind}"} for kind in KINDS}, "train": {}},
    "plugins": {kind: {"distribution": "dimecli", "version": "0.1.0"} for kind in KINDS},
    "spec": {"modality": "vector", "shape": [2], "likelihood": {"name": "gaussian"}},
    "data": {"fingerprints": {"train": "a", "validation": "b"}},
    "machine": {"threads": 1},
}
FINISHED: dict[str, Any] = {
    "state": "finished",
    "weights": "c",
    "results": {"seconds": 1.5, "terms": {"total": 1.0}, "gradient_share": {}},
}


def make(runs: Path, **record: Any) -> Path:
    path = create_run(runs, "ae-digits")
    write_record(path, {**RECORD, **record})
    return path


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
        update_record(path, **FINISHED)
    assert find_run(None, tmp_path) == paths[9], "the tenth is newer than the ninth, whatever the letters say"
    assert find_run(paths[0].name, tmp_path) == paths[0]
    assert find_run(str(paths[0]), tmp_path / "elsewhere") == paths[0]
    with pytest.raises(UserError, match=f"Did you mean '{paths[0].name}'"):
        find_run(paths[0].name.replace("digits", "digit"), tmp_path)


def test_a_page_beside_the_runs_is_none_of_them(tmp_path: Path) -> None:
    run, page = make(tmp_path), tmp_path / "report.html"
    page.write_text("<html>")
    assert find_runs([str(run), str(page)], tmp_path) == [run], "as runs/* names them"
    with pytest.raises(UserError, match=r"report\.html is a file; allowed: the name of a run, or its folder"):
        find_runs([str(page)], tmp_path)
    with pytest.raises(UserError, match=r"run\.json is a file"):
        find_runs([str(run), str(run / "run.json")], tmp_path)


def sentences(runs: Path, grammar: str, **changes: Any) -> Path:
    """A finished run on sentences of a grammar."""
    dataset = {"name": "any dataset", "grammar": grammar}
    likelihood = {"name": "productions", "grammar": "S -> 'a'"}
    spec = {"modality": "sentence", "shape": [4], "likelihood": likelihood}
    return make(runs, **FINISHED, config={**RECORD["config"], "dataset": dataset}, spec=spec, **changes)


def test_newest_run_of_a_grammar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    first, second = sentences(tmp_path, "rna"), sentences(tmp_path, "expressions")
    mine = sentences(tmp_path, str(tmp_path / "my own.cfg"))
    update_record(sentences(tmp_path, "rna"), state="failed")
    images = make(tmp_path, **FINISHED)
    assert [newest_run(tmp_path, grammar) for grammar in ("rna", "expressions", None)] == [first, second, images]
    assert newest_run(tmp_path, "my own.cfg") == newest_run(tmp_path, str(mine.parent / "my own.cfg")) == mine
    assert find_run(None, tmp_path, "rna") == first
    assert find_run(second.name, tmp_path, "rna") == second, "named, so that is the one"
    assert newest_run(tmp_path, "smiles") is None
    with pytest.raises(UserError, match=r"no finished run of grammar 'a b' in .*; .* dime train --grammar 'a b'$"):
        find_run(None, tmp_path, "a b")
    rows = {row["run"]: row["grammar"] for row in list_runs(tmp_path)}
    assert (rows[first.name], rows[mine.name], rows[images.name]) == ("rna", str(tmp_path / "my own.cfg"), None)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "3", "[" * 100_000, "\x00", '"schema"'])
def test_what_is_no_record_is_one_clear_line_and_not_deleted(tmp_path: Path, text: str) -> None:
    path = make(tmp_path)
    whole = make(tmp_path)
    (path / "run.json").write_text(text)
    with pytest.raises(DimeError, match=r"run\.json is damaged: .") as caught:
        read_record(path)
    assert "\n" not in str(caught.value)
    assert {row["run"]: row["state"] for row in list_runs(tmp_path)} == {
        path.name: "damaged",
        whole.name: "interrupted",
    }
    with pytest.raises(UserError, match=r"damaged.*by hand"):
        remove_run(path)
    assert (path / "run.json").read_text() == text


def test_another_schema_says_so_and_may_be_removed(tmp_path: Path) -> None:
    path = make(tmp_path)
    (path / "run.json").write_text('{"schema": 99}')
    with pytest.raises(DimeError, match="has schema 99, this dimecli reads 1"):
        read_record(path)
    remove_run(path)
    assert not path.exists()


def damage(path: Path, key: str, *wrong: object) -> None:
    """Put something wrong under a key, such as `config.train`; or delete it."""
    record = table = json.loads((path / "run.json").read_text())
    *tables, last = key.split(".")
    for name in tables:
        table = table[name]
    del table[last]
    table |= {last: wrong[0]} if wrong else {}
    (path / "run.json").write_text(json.dumps(record))


WRONG: dict[str, list[Any]] = {
    "run": [None, 3],
    "state": ["wonderful", ["finished"], None],
    "created": [2026],
    "config": [[], "x", None],
    "config.objective": ["dime"],
    "config.dataset.name": [None, 3],
    "config.train": [[], 3],
    "plugins": [{}, []],
    "plugins.network": [None],
    "plugins.dataset.version": [0.1],
    "spec": ["x", {}],
    "spec.shape": ["x", [], [0, 1], [-2], None],
    "spec.likelihood": [{"name": "cauchy"}],
    "data": [{}],
    "data.fingerprints": [None, []],
    "data.fingerprints.validation": [3],
    "machine": [None],
    "machine.threads": [None, "4", 0, 1.5, 10**9, True],
    "weights": [None, []],
    "results": [None, {}],
    "results.seconds": ["1", None, -1],
    "results.terms": [None, {"total": "x"}, [1]],
    "results.gradient_share": [None, {"total": None}],
}


@pytest.mark.parametrize("key", WRONG)
def test_a_damaged_record_names_the_key(tmp_path: Path, key: str) -> None:
    for wrong in [(), *((value,) for value in WRONG[key])]:
        path = make(tmp_path, **FINISHED)
        assert read_record(path)["results"]["seconds"] == 1.5
        damage(path, key, *wrong)
        with pytest.raises(DimeError, match=rf"run\.json is damaged: '{key}") as caught:
            read_record(path)
        assert "\n" not in str(caught.value)
        assert [row["state"] for row in list_runs(tmp_path)] == ["damaged"]
        remove_run(path)
        assert not path.exists()


def test_an_image_has_three_dimensions(tmp_path: Path) -> None:
    path = make(tmp_path)
    damage(path, "spec.modality", "image")
    with pytest.raises(DimeError, match=r"'spec': .*an image has a shape \(C, H, W\), got \(2,\)"):
        read_record(path)


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        (
            {"modality": "sentence", "shape": [4, 2], "likelihood": {"name": "productions", "grammar": "S -> 'x'"}},
            r"\(T,\)",
        ),
        ({"modality": "sentence"}, "the likelihood 'gaussian' is not one of sentences"),
        ({"likelihood": {"name": "characters", "grammar": "S -> 'x'"}}, "'characters' is not one of vectors"),
    ],
)
def test_sentences_have_one_dimension_and_a_likelihood_of_their_own(
    tmp_path: Path, spec: dict[str, Any], says: str
) -> None:
    path = make(tmp_path)
    damage(path, "spec", {**RECORD["spec"], **spec})
    with pytest.raises(DimeError, match=f"'spec': .*{says}"):
        read_record(path)


@pytest.mark.parametrize("seconds", ["NaN", "Infinity", "1e300"])
def test_seconds_that_no_clock_shows(tmp_path: Path, seconds: str) -> None:
    path = make(tmp_path, **FINISHED)
    text = (path / "run.json").read_text()
    (path / "run.json").write_text(text.replace("1.5", seconds))
    with pytest.raises(DimeError, match=r"'results\.seconds'"):
        read_record(path)


def test_only_a_finished_run_needs_results(tmp_path: Path) -> None:
    path = make(tmp_path)
    for state in ("interrupted", "failed"):
        update_record(path, state=state)
        assert read_record(path)["state"] == state


def test_a_folder_that_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is no run"):
        read_record(tmp_path)
    with pytest.raises(UserError, match="is no run"):
        remove_run(tmp_path)
    assert tmp_path.exists()


def test_a_run_is_running_as_long_as_its_lock_is_held(tmp_path: Path) -> None:
    path = make(tmp_path)
    assert read_record(path)["state"] == "interrupted", "nobody ever locked it"
    with lock(path, "trained"):
        assert read_record(path)["state"] == "running"
        with pytest.raises(UserError, match="being trained by another process; stop that first"):
            remove_run(path)
    assert read_record(path)["state"] == "interrupted"
    remove_run(path)
    assert not path.exists()


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


def test_a_run_in_training_cannot_be_loaded_yet(tmp_path: Path) -> None:
    from dimecli.run.run import Run

    path = make(tmp_path)
    with lock(path, "trained"), pytest.raises(UserError, match=f"run {path.name} is being trained; wait"):
        Run(path)
    with pytest.raises(UserError, match="is interrupted, not finished"):
        Run(path)


def test_a_run_is_listed_and_deleted_as_the_system_allows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret, mine = make(tmp_path), make(tmp_path)
    update_record(mine, **FINISHED)
    real = Path.read_text

    def read_text(path: Path, *arguments: Any, **options: Any) -> str:
        if path.parent == secret:
            raise PermissionError(13, "Permission denied")
        return real(path, *arguments, **options)

    monkeypatch.setattr(Path, "read_text", read_text)
    rows = {row["run"]: row for row in list_runs(tmp_path)}
    assert (rows[secret.name]["state"], rows[mine.name]["state"]) == ("damaged", "finished")
    assert rows[secret.name]["error"] == f"{secret / 'run.json'} cannot be read: Permission denied"
    assert find_run(None, tmp_path) == mine
    monkeypatch.setattr(Path, "rename", lambda path, target: read_text(secret / "x"))
    with pytest.raises(DimeError, match=r"cannot delete .*: Permission denied"):
        remove_run(mine)
    assert (mine / "run.json").exists()


def test_a_run_in_which_somebody_searches_is_not_removed(tmp_path: Path) -> None:
    path = make(tmp_path)
    (path / "bo" / "001-random").mkdir(parents=True)
    with (
        lock(path / "bo" / "001-random", "searched"),
        pytest.raises(UserError, match=f"^{path.name} is being searched by another process; stop that first$"),
    ):
        remove_run(path)
    remove_run(path)
    assert not path.exists()


@pytest.mark.parametrize("link", [False, True])
def test_nothing_is_left_of_a_removed_run(tmp_path: Path, link: bool) -> None:
    path = make(tmp_path / "runs")
    (path / "codes").mkdir()
    if link:
        (tmp_path / "runs" / "link").symlink_to(path, target_is_directory=True)
    remove_run(tmp_path / "runs" / "link" if link else path)
    assert list_runs(tmp_path / "runs") == []
    assert [left.name for left in (tmp_path / "runs").iterdir()] == ["link"] * link
