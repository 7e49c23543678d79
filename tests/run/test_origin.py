"""Runs and searches whose plugins are gone, or are not any more as they were."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dimecli.errors import UserError
from dimecli.registry import add_file, drop_files
from dimecli.run.folder import read_record, update_record
from dimecli.run.origin import changes, packages_of, require, told
from dimecli.run.run import Run

Dime = Callable[..., Any]
Install = Callable[..., None]

LONE = (Path(__file__).parents[1] / "lone_plugins.py").read_text()
TRAIN = ("train", "lone-objective", "--network", "lone-network", "--epochs", "1", "--track", "lone-tracker")
POINTS = {
    "dimecli.datasets": "lone-sentences = lone_plugins:LoneSentences",
    "dimecli.densities": "lone-density = lone_plugins:LoneDensity",
    "dimecli.executors": "lone-executor = lone_plugins:LoneExecutor",
    "dimecli.grammars": "lone-grammar = lone_plugins:LoneGrammar",
    "dimecli.networks": "lone-network = lone_plugins:LoneNetwork",
    "dimecli.objectives": "lone-objective = lone_plugins:LoneObjective",
    "dimecli.problems": "lone-problem = lone_plugins:LoneProblem",
    "dimecli.searches": "lone-search = lone_plugins:LoneSearch",
    "dimecli.trackers": "lone-tracker = lone_plugins:LoneTracker",
}
HASH = "0123456789abcdef" * 4
PACKAGE = {"distribution": "dime-hello", "version": "0.1.0", "class": "hello:Hello", "api": 1}
FILE = {"file": "/some where/mine.py", "sha256": HASH, "class": "Mine", "api": 1}


def only_run() -> Path:
    (record,) = Path("runs").glob("*/run.json")
    return record.parent


@pytest.fixture
def loose(dime: Dime, tmp_path: Path) -> Iterator[Dime]:
    """The command line with `--plugin mine.py`, and a run of sentences that was trained with it."""
    (tmp_path / "mine.py").write_text(LONE)

    def call(*words: str) -> Any:
        return dime(*words, "--plugin", "mine.py")

    ran = call(*TRAIN, "--dataset", "lone-sentences")
    assert ran.code == 0, ran.err
    yield call
    drop_files()


def test_both_forms_are_told_as_the_registry_tells_them() -> None:
    assert told(PACKAGE) == "dime-hello 0.1.0"
    assert told(FILE) == "mine.py (sha256 01234567)"
    assert packages_of({"plugins": {"a": PACKAGE, "b": FILE, "c": PACKAGE}}) == (
        "dime-hello 0.1.0, mine.py (sha256 01234567)"
    )


def test_what_is_missing_is_told_with_the_cure() -> None:
    with pytest.raises(UserError) as caught:
        require("run r", PACKAGE, "objective", "hello")
    assert str(caught.value) == "run r needs the objective 'hello' of dime-hello 0.1.0: pip install dime-hello"
    with pytest.raises(UserError, match=r"pip install 'dime-hello; true'$"):  # of a stranger's record
        require("run r", {**PACKAGE, "distribution": "dime-hello; true"}, "objective", "hello")
    with pytest.raises(UserError) as caught:
        require("run r", FILE, "objective", "mine")
    assert str(caught.value) == (
        "run r needs the objective 'mine' of the file /some where/mine.py: give --plugin '/some where/mine.py'"
    )
    require("run r", FILE, "objective", "ae")
    require("run r", None, "objective", "nobody's")


def test_a_run_keeps_where_every_plugin_is_from(loose: Dime, tmp_path: Path) -> None:
    plugins = read_record(only_run())["plugins"]
    assert plugins.keys() == {"objective", "dataset", "network", "grammar", "tracker.lone-tracker"}
    for origin in plugins.values():
        assert origin.keys() == {"file", "sha256", "class", "api"}
        assert origin["file"] == str(tmp_path / "mine.py")
    assert plugins["grammar"]["class"] == "LoneGrammar"
    assert f"plugins.objective.sha256 {plugins['objective']['sha256']}" in loose("runs", "show").flat


@pytest.mark.parametrize("words", [("sample",), ("reconstruct",), ("bo",), ("report",)])
def test_a_run_whose_file_is_not_given_says_which(loose: Dime, dime: Dime, tmp_path: Path, words: tuple[str]) -> None:
    ran = dime(*words)
    assert ran.code == 2
    name = "grammar 'lone-grammar'" if words == ("bo",) else "objective 'lone-objective'"
    assert ran.err == (
        f"Error: run {only_run().name} needs the {name} of the file {tmp_path / 'mine.py'}: "
        f"give --plugin {tmp_path / 'mine.py'}\n"
    )
    assert dime("runs").code == dime("runs", "show").code == 0


@pytest.mark.parametrize("state", ["finished", "interrupted"])
def test_a_file_that_changed_is_told_and_keeps_a_run_from_going_on(loose: Dime, tmp_path: Path, state: str) -> None:
    run = only_run()
    assert "Note:" not in loose("sample", "-n", "2", "--density", "lone-density").err
    (tmp_path / "mine.py").write_text(LONE + "\n# another line\n")
    if state == "finished":
        ran = loose("sample", "-n", "2", "--density", "lone-density")
        assert ran.code == 0
        assert ran.err.count(f"Note: mine.py changed since run {run.name} was trained\n") == 1
        return
    update_record(run, state="interrupted")
    ran = loose("train", "--resume", run.name)
    assert ran.code == 2
    assert ran.err == (
        f"Error: --resume {run.name}: mine.py changed since, and its bits would be others; "
        "put back what it was trained with\n"
    )


def test_in_python_a_changed_file_is_a_warning(loose: Dime, tmp_path: Path) -> None:
    run = only_run()
    add_file(tmp_path / "mine.py")
    assert changes(read_record(run)) == []
    Run(run)
    (tmp_path / "mine.py").write_text(LONE + "\n# another line\n")
    add_file(tmp_path / "mine.py")
    with pytest.warns(UserWarning, match=r"^mine\.py changed since run .* was trained$"):
        Run(run)


def test_a_file_of_another_place_with_the_same_text_is_as_good(loose: Dime, dime: Dime, tmp_path: Path) -> None:
    (tmp_path / "mine.py").rename(tmp_path / "moved.py")
    ran = dime("sample", "-n", "2", "--density", "lone-density", "--plugin", "moved.py")
    assert ran.code == 0
    assert "Note:" not in ran.err


def test_a_run_of_another_plugin_api_says_so(dime: Dime, install: Install, tmp_path: Path) -> None:
    install("dime-lone", "0.1", POINTS, lone_plugins=LONE)
    assert dime(*TRAIN, "--dataset", "lone-sentences").code == 0
    newer = LONE.replace("class LoneObjective(Objective):\n", "class LoneObjective(Objective):\n    api = 9\n")
    newer = newer.replace(
        '    api = 9\n    """Reconstruction alone."""\n', '    """Reconstruction alone."""\n    api = 9\n'
    )
    (tmp_path / "site" / "dime_lone-0.1.dist-info").rename(tmp_path / "away")
    install("dime-lone", "0.2", POINTS, lone_plugins=newer)
    ran = dime("sample")
    assert ran.code == 1
    assert ran.err == (
        f"Error: run {only_run().name} needs the objective 'lone-objective' of dime-lone 0.1, made for plugin API 1: "
        "objective 'lone-objective' of dime-lone 0.2 (lone_plugins:LoneObjective) is made for plugin API 9, "
        "this dimecli has API 1; upgrade the older one\n"
    )


BO = ("bo", "--rounds", "1", "--batch", "2", "--initial", "3", "--search", "lone-search", "--density", "lone-density")


def test_a_search_keeps_where_its_plugins_are_from_and_needs_them(loose: Dime, dime: Dime, tmp_path: Path) -> None:
    ran = loose(*BO, "--baselines", "")
    assert ran.code == 0, ran.err
    file = next(only_run().glob("bo/*/search.json"))
    record = json.loads(file.read_text())
    assert {kind: origin["class"] for kind, origin in record["plugins"].items()} == {
        "problem": "LoneProblem",
        "search": "LoneSearch",
        "density": "LoneDensity",
    }
    missing = {**record["plugins"], "search": PACKAGE}
    config = {**record["config"], "search": {"name": "hello"}}
    file.write_text(json.dumps({**record, "state": "running", "plugins": missing, "config": config}))
    ran = loose("bo", "--resume")
    assert ran.code == 2
    assert (
        ran.err
        == "Error: search 001-lone-search needs the search 'hello' of dime-hello 0.1.0: pip install dime-hello\n"
    )
    file.write_text(json.dumps({**record, "state": "running"}))
    (tmp_path / "mine.py").write_text(LONE + "\n# another line\n")
    ran = loose("bo", "--resume")
    assert ran.code == 2
    assert ran.err.endswith("mine.py changed since; without --resume a new search begins\n")


def test_a_search_that_told_its_plugins_in_words_goes_on(loose: Dime) -> None:
    assert loose(*BO).code == 0
    file = next(only_run().glob("bo/*/search.json"))
    record = json.loads(file.read_text())
    words = dict.fromkeys(record["plugins"], "dimecli 0.1.0")
    file.write_text(json.dumps({**record, "state": "running", "plugins": words}))
    ran = loose("bo", "--resume")
    assert ran.code == 0, ran.err


def test_nothing_is_executed_because_a_record_names_it(loose: Dime, dime: Dime, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("open('executed', 'w')\n")
    for words in (("sample",), ("runs", "show"), ("bo",), ("train", "--resume", only_run().name)):
        dime(*words)
    assert not Path("executed").exists()


@pytest.mark.parametrize("spoilt", [{"sha256": "short"}, {"sha256": None}, {"file": 3}])
def test_a_damaged_origin_is_told_by_its_key(loose: Dime, spoilt: dict[str, Any]) -> None:
    record = read_record(only_run())
    origin = {**record["plugins"]["grammar"], **spoilt}
    update_record(only_run(), plugins={**record["plugins"], "grammar": origin})
    ran = loose("sample", only_run().name)
    assert ran.code == 1
    assert f"run.json is damaged: 'plugins.grammar.{next(iter(spoilt))}': " in ran.err


def test_a_plugin_of_the_same_name_from_elsewhere_is_told(
    loose: Dime, dime: Dime, install: Install, tmp_path: Path
) -> None:
    """A file that became a package is used, and said to be another; an interrupted run does not go on with it."""
    run = only_run()
    points = {"dimecli.objectives": "lone-objective = lone_more:LoneObjective"}
    install("dime-more", "0.3", points, lone_more=LONE)
    ran = dime("runs", "show", run.name)
    assert ran.code == 0
    changed = changes(read_record(run))
    assert len(changed) == 1
    assert changed[0].startswith(
        "objective 'lone-objective' is that of dime-more 0.3 and no longer that of mine.py (sha"
    )
    update_record(run, state="interrupted")
    ran = dime("train", "--resume", run.name)
    assert ran.code == 2
    assert "dime-more 0.3 and no longer that of mine.py" in ran.err or "needs the" in ran.err
