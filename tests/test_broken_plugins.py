"""What third parties can get wrong, for each kind of plugin: it hurts nobody else, and is told with its address."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from dimecli.plugin import API, KINDS
from dimecli.run.folder import list_runs

Dime = Callable[..., Any]
Install = Callable[..., None]

LONE = Path(__file__).with_name("lone_plugins.py").read_text()
CLASSES = {kind: "LoneGrammar" if kind == "grammar" else f"Lone{base.__name__}" for kind, base in KINDS.items()}
FIELD = "from pydantic import Field\n"

SORTS: dict[str, tuple[str, str]] = {
    "import": ("import nothing_there\n", "failed to import: ModuleNotFoundError: No module named 'nothing_there'"),
    "exit": ("raise SystemExit(3)\n", "failed to import: SystemExit: 3"),
    "no class": ("Bad = 5\n", "is no plugin: expected a subclass of dimecli.plugin.{base}, got 5"),
    "other kind": ("from {other} as Bad\n", "is no plugin: expected a subclass of dimecli.plugin.{base}, got <class"),
    "api": ("{start}    api = 99\n", f"is made for plugin API 99, this dimecli has API {API}; upgrade the older one"),
    "no default": (FIELD + "{start}    x: int = Field(description='X.')\n", "option 'x': it has no default"),
    "no form": (FIELD + "{start}    x: dict[str, int] = Field({{}}, description='X.')\n", "option 'x': dict[str, int]"),
    "no method": ("from dimecli.plugin import {base} as Bad\n", "lacks "),
}
"""A module for each sort, and what is told of it."""

COMMANDS = (
    ("train", "--dry-run"),
    ("sample", "--help"),
    ("classify", "--help"),
    ("evaluate", "--help"),
    ("bo", "--help"),
    ("grammar", "sample", "boolean", "-n", "1"),
    ("plugins", "show", "mlp"),
)


def broken(sort: str) -> tuple[dict[str, str], dict[str, str]]:
    """Entry points and modules of a distribution whose plugins, one of each kind, are all broken in one way."""
    points, modules = {}, {}
    for kind, base in KINDS.items():
        if sort == "no method" and kind == "grammar":  # it needs none
            continue
        other = "dimecli.plugin import Metric" if kind != "metric" else "dimecli.plugin import Density"
        start = f"from lone_plugins import {CLASSES[kind]}\n\nclass Bad({CLASSES[kind]}):\n    'Bad.'\n"
        modules[f"bad_{kind}"] = SORTS[sort][0].format(base=base.__name__, other=other, start=start)
        points[base.group] = f"bad = bad_{kind}:Bad"
    return points, modules


@pytest.mark.parametrize("sort", SORTS)
def test_a_broken_plugin_of_any_kind_is_listed_with_what_is_wrong(dime: Dime, install: Install, sort: str) -> None:
    points, modules = broken(sort)
    install("dime-bad", "0.1", points, **modules, lone_plugins=LONE)
    listed = dime("plugins", "--json")
    assert listed.code == 0
    rows = {row["kind"]: row for row in listed.json if row["name"] == "bad"}
    assert {base.group for base in KINDS.values() if base.kind in rows} == points.keys()
    for kind, row in rows.items():
        assert row["error"].startswith(f"{kind} 'bad' of dime-bad 0.1 (bad_{kind}:Bad)")
        assert SORTS[sort][1].format(base=KINDS[kind].__name__) in row["error"]
        assert "\n" not in row["error"]
    assert not [row for row in listed.json if row["error"] and row["name"] != "bad"]


@pytest.mark.parametrize("sort", SORTS)
def test_a_broken_plugin_leaves_every_other_command_working(dime: Dime, install: Install, sort: str) -> None:
    points, modules = broken(sort)
    install("dime-bad", "0.1", points, **modules, lone_plugins=LONE)
    for words in COMMANDS:
        ran = dime(*words)
        assert ran.code == 0, ran.err


def test_an_entry_point_that_is_none_hurts_nobody(dime: Dime, install: Install) -> None:
    install("dime-odd", "0.1", {base.group: "odd = :::\nempty = " for base in KINDS.values()})
    rows = [row for row in dime("plugins", "--json").json if row["origin"] == "dime-odd 0.1"]
    assert len(rows) == 2 * len(KINDS)
    for row in rows:
        value = ":::" if row["name"] == "odd" else ""
        said = f"({value}) is no plugin: expected an entry point MODULE:CLASS, got '{value}'"
        assert row["error"] == f"{row['kind']} '{row['name']}' of dime-odd 0.1 {said}"
    assert dime("train", "--epochs", "1").code == 0
    assert dime("sample", "-n", "2").code == 0
    assert "promises is broken" in dime("plugins", "check", "classifier", "linear").err


CHOSEN = {
    "objective": ("train", "bad", "--dry-run"),
    "network": ("train", "--network", "bad", "--dry-run"),
    "dataset": ("train", "--dataset", "bad", "--dry-run"),
    "grammar": ("grammar", "check", "bad"),
    "density": ("sample", "--density", "bad"),
    "classifier": ("classify", "--classifier", "bad"),
    "metric": ("evaluate", "--metric", "bad"),
    "problem": ("bo", "--problem", "bad"),
    "search": ("bo", "--search", "bad"),
    "executor": ("bo", "--executor", "bad"),
    "tracker": ("train", "--track", "bad", "--dry-run"),
    "protocol": ("bo", "--protocol", "bad"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_who_chooses_it_is_told_the_same_in_one_line(dime: Dime, install: Install, kind: str) -> None:
    points, modules = broken("import")
    install("dime-bad", "0.1", points, **modules)
    ran = dime(*CHOSEN[kind])
    assert ran.code == 1
    assert ran.err == (
        f"Error: {kind} 'bad' of dime-bad 0.1 (bad_{kind}:Bad) failed to import: "
        "ModuleNotFoundError: No module named 'nothing_there'\n"
    )


def test_a_name_claimed_twice_is_told_in_both_rows(dime: Dime, install: Install) -> None:
    points = {base.group: f"twin = lone_plugins:{CLASSES[kind]}" for kind, base in KINDS.items()}
    install("dime-one", "1.0", points, lone_plugins=LONE)
    install(
        "dime-two", "2.0", {group: line.replace("lone_", "also_") for group, line in points.items()}, also_plugins=LONE
    )
    rows = [row for row in dime("plugins", "--json").json if row["name"] == "twin"]
    assert len(rows) == 2 * len(KINDS)
    for row in rows:
        cls = CLASSES[row["kind"]]
        claims = f"dime-one 1.0 (lone_plugins:{cls}) and dime-two 2.0 (also_plugins:{cls})"
        assert row["error"] == f"{row['kind']} 'twin' is claimed by {claims}; uninstall one of them"
    for words in COMMANDS:
        assert dime(*words).code == 0
    for kind in KINDS:
        ran = dime(*(word.replace("bad", "twin") for word in CHOSEN[kind]))
        assert ran.code == 1
        assert f"{kind} 'twin' is claimed by dime-one 1.0" in ran.err


# ---- an exception in the middle of work ----

METHODS: Mapping[str, str] = {
    "objective": "loss(self, model, x, rng)",
    "network": "encoder(self, spec, features)",
    "dataset": "read(self, split)",
    "grammar": "text(self)",
    "density": "fit(self, codes, rng, context)",
    "classifier": "fit(self, train, validation, rng)",
    "metric": "measure(self, subject)",
    "problem": "evaluate(self, sentences, language)",
    "search": "ask(self, n, history, space, rng)",
    "executor": "start(self)",
    "tracker": "open(self, run, config, resumed_at)",
    "protocol": "run(self, lab)",
}
TRAIN = ("train", "lone-objective", "--network", "lone-network", "--epochs", "1")
BO = ("bo", "--rounds", "1", "--batch", "2", "--initial", "3", "--search", "lone-search", "--density", "lone-density")
WORK = {
    "objective": ("train", "bad", "--dataset", "lone-dataset", "--network", "lone-network", "--epochs", "1"),
    "network": ("train", "lone-objective", "--dataset", "lone-dataset", "--network", "bad"),
    "dataset": (*TRAIN, "--dataset", "bad"),
    "grammar": ("grammar", "check", "bad"),
    "density": ("sample", "--density", "bad"),
    "classifier": ("classify", "--classifier", "bad"),
    "metric": ("evaluate", "--metric", "bad", "--density", "lone-density"),
    "problem": (*BO, "--problem", "bad"),
    "search": (*BO, "--search", "bad"),
    "executor": (*BO, "--problem", "slow", "--executor", "bad"),
    "tracker": (*TRAIN, "--dataset", "lone-dataset", "--track", "bad"),
    "protocol": ("bo", "--protocol", "bad"),
}
CAUGHT = ("metric", "problem", "tracker")  # by their hosts, who go on without


@pytest.fixture
def works(dime: Dime, install: Install) -> Callable[[str], Any]:
    """Runs the command that uses a plugin of that kind, which raises in line 7 of its module."""
    points = {base.group: f"lone-{kind} = lone_plugins:{CLASSES[kind]}" for kind, base in KINDS.items()}
    points["dimecli.datasets"] += "\nlone-sentences = lone_plugins:LoneSentences"
    install("dime-lone", "0.1", points, lone_plugins=LONE)

    def run(kind: str, statement: str = "1 / 0") -> Any:
        source = f"from lone_plugins import {CLASSES[kind]}\n\nclass Bad({CLASSES[kind]}):\n    'Bad.'\n\n"
        modules = {"bad_mod": f"{source}    def {METHODS[kind]}:\n        {statement}\n"}
        points = {KINDS[kind].group: "bad = bad_mod:Bad"}
        if kind == "executor":
            points["dimecli.problems"] = "slow = slow_mod:Slow"
            modules["slow_mod"] = "from lone_plugins import LoneProblem\nclass Slow(LoneProblem):\n    cheap = False\n"
        install("dime-bad", "0.1", points, **modules)
        if kind in ("density", "classifier", "metric"):
            assert dime(*TRAIN, "--dataset", "lone-dataset").code == 0
        if kind in ("problem", "search", "executor"):
            assert dime(*TRAIN, "--dataset", "lone-sentences").code == 0
        return dime(*WORK[kind])

    return run


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in CAUGHT])
def test_an_exception_in_the_middle_of_work_names_the_plugin_and_the_line(
    works: Callable[..., Any], dime: Dime, kind: str
) -> None:
    ran = works(kind)
    assert ran.code == 1
    assert ran.err.splitlines()[-1] == (
        f"Error: {kind} 'bad' of dime-bad 0.1 (bad_mod:Bad) failed: ZeroDivisionError: division by zero "
        "(bad_mod.py, line 7); DIME_TRACEBACK=1 shows the whole traceback"
    )
    assert "Traceback" not in ran.err
    assert dime("plugins").code == 0
    assert dime(*TRAIN, "--dataset", "lone-dataset").code == 0


def test_the_author_of_a_plugin_gets_the_traceback(works: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIME_TRACEBACK", "1")
    ran = works("density")
    assert ran.code == 1
    assert "Traceback (most recent call last)" in ran.err
    assert re.search(r'bad_mod\.py", line 7, in fit\n +1 / 0', ran.err)
    assert ran.err.splitlines()[-1].endswith("division by zero (bad_mod.py, line 7)")


def test_the_author_of_a_plugin_that_does_not_import_gets_it_too(
    dime: Dime, install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DIME_TRACEBACK", "1")
    points, modules = broken("import")
    install("dime-bad", "0.1", points, **modules)
    ran = dime(*CHOSEN["objective"])
    assert re.search(r'bad_objective\.py", line 1, in <module>\n +import nothing_there', ran.err)
    assert "No module named 'nothing_there'" in ran.err.splitlines()[-1]


def test_a_plugin_that_leaves_is_told_as_one_that_raises(works: Callable[..., Any]) -> None:
    ran = works("density", "raise SystemExit(0)")
    assert ran.code == 1
    assert "(bad_mod:Bad) failed: SystemExit: 0 (bad_mod.py, line 7)" in ran.err


def test_what_a_plugin_makes_elsewhere_raise_is_told_by_its_own_line(works: Callable[..., Any]) -> None:
    ran = works("classifier", "return __import__('json').loads('{')")
    assert ran.code == 1
    assert "failed: JSONDecodeError: Expecting property name" in ran.err
    assert "(bad_mod.py, line 7)" in ran.err


def test_bugs_of_dimecli_stay_tracebacks(
    works: Callable[..., Any], dime: Dime, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert works("tracker").code == 0
    monkeypatch.setattr("dimecli.run.folder.list_runs", lambda runs: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        dime("runs")


def test_a_failed_run_says_which_plugin_failed(works: Callable[..., Any]) -> None:
    works("objective")
    (row,) = list_runs(Path("runs"))
    assert row["state"] == "failed"
    assert row["error"] == (
        "objective 'bad' of dime-bad 0.1 (bad_mod:Bad) failed: ZeroDivisionError: division by zero (bad_mod.py, line 7)"
    )


def test_a_metric_that_fails_loses_no_other(works: Callable[..., Any]) -> None:
    ran = works("metric")
    assert ran.code == 1
    assert "metric 'bad' of dime-bad 0.1 failed: ZeroDivisionError: division by zero" in ran.err


def test_in_python_a_broken_metric_is_left_out_of_all(
    dime: Dime, install: Install, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from dimecli import evaluate, load_run
    from dimecli.console import Reporter

    points = {base.group: f"lone-{kind} = lone_plugins:{CLASSES[kind]}" for kind, base in KINDS.items()}
    points["dimecli.metrics"] += "\nbad = nothing_there:Bad"
    install("dime-lone", "0.1", points, lone_plugins=LONE)
    monkeypatch.setenv("DIME_PLUGINS", "dime-lone")
    assert dime(*TRAIN, "--dataset", "lone-dataset").code == 0
    done = evaluate(load_run(), density="lone-density", n=10, reporter=Reporter())
    assert [entry.name for entry in done.entries] == ["lone-metric"]
    assert "Warning: left out: metric 'bad' of dime-lone 0.1 (nothing_there:Bad) failed to" in capsys.readouterr().err


def test_a_problem_that_fails_has_invalid_sentences(works: Callable[..., Any]) -> None:
    ran = works("problem")
    assert ran.code == 0, ran.err
    assert "of problem 'bad' are invalid, mostly: ZeroDivisionError: division by zero" in ran.err


def test_a_tracker_that_fails_does_not_stop_the_training(works: Callable[..., Any]) -> None:
    ran = works("tracker")
    assert ran.code == 0
    assert "Warning: tracker 'bad' failed, and is told nothing more: ZeroDivisionError: division by zero" in ran.err
    assert json.loads(next(Path("runs").glob("*/run.json")).read_text())["state"] == "finished"


def test_a_file_that_belongs_to_nobody_is_blamed_by_its_name(dime: Dime) -> None:
    Path("mine.py").write_text(
        "from dimecli.plugin import Objective\n\nclass Mine(Objective):\n    'Mine.'\n\n"
        "    def loss(self, model, x, rng):\n        return undefined\n"
    )
    ran = dime("train", "mine", "--plugin", "mine.py", "--epochs", "1", "--quiet")
    assert ran.code == 1
    assert re.search(
        r"Error: objective 'mine' of mine\.py \(sha256 \w{8}\) \(Mine\) failed: NameError: name 'undefined' is "
        r"not defined \(mine\.py, line 7\); DIME_TRACEBACK=1 shows the whole traceback\n$",
        ran.err,
    )


def test_a_grammar_without_its_file_says_where_to_write_it(dime: Dime, install: Install) -> None:
    source = "from dimecli.plugin import Language\n\nclass Bare(Language):\n    'Bare.'\n"
    install("dime-bare", "0.1", {"dimecli.grammars": "bare = bare_mod:Bare"}, bare_mod=source)
    ran = dime("grammar", "check", "bare")
    assert ran.code == 1
    assert ran.err.startswith("Error: grammar Bare: ")
    assert re.search(r"bare_mod\.cfg cannot be read \(.*\); write it, or override text\(\)\n$", ran.err)
