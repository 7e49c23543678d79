"""The core works without any built-in plugin: a distribution of a stranger is all that there is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from test_core_names_no_plugin import ORDINARY, WORD  # type: ignore[import-not-found]  # it lies beside this file

from dimecli.plugin import KINDS

POINTS = {
    "dimecli.defaults": "lone = lone_plugins:DEFAULTS",
    **{
        base.group: f"lone-{kind} = lone_plugins:Lone{base.__name__ if kind != 'grammar' else 'Grammar'}"
        for kind, base in KINDS.items()
    },
}
POINTS["dimecli.datasets"] += "\nlone-sentences = lone_plugins:LoneSentences"
POINTS["dimecli.searches"] += "\nlone-baseline = lone_plugins:LoneBaseline"

COMMANDS = {
    "train": "train --epochs 2 --track lone-tracker",
    "train --help": "train --help",
    "sample": "sample -n 4",
    "sample again": "sample -n 4",
    "evaluate": "evaluate -n 20",
    "classify": "classify",
    "reconstruct": "reconstruct -n 10",
    "interpolate": "interpolate --pairs 2 --steps 3",
    "traverse": "traverse",
    "embed": "embed",
    "nearest": "nearest -n 3",
    "report": "report -n 4",
    "compare": "compare",
    "protocol": "bo --protocol lone-protocol",
    "bo": "bo --rounds 1 --batch 2 --initial 10",
    "train on sentences": "train --grammar lone-grammar --epochs 1",
    "sample sentences": "sample -n 3",
    "bo file": "bo --grammar lines.cfg --rounds 1 --batch 2 --initial 3 --problem lone-problem",
    "grammar check": "grammar check lone-grammar",
    "grammar sample": "grammar sample lone-grammar -n 2",
    "plugins": "plugins",
    "plugins list": "plugins list --json",
    "plugins show": "plugins show lone-objective",
    "runs": "runs",
    "runs show": "runs show",
}
PROGRAM = """
import contextlib, io, json, sys, traceback

class Forbidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("dimecli_plugins", "dimecli_grammars"):
            raise ImportError(f"{name} is asked for")

sys.meta_path.insert(0, Forbidden())
sys.path.insert(0, sys.argv[1])
from dimecli.cli.app import run

results = {}
for name, line in json.loads(sys.argv[2]).items():
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = run(line.split())
        except BaseException:
            code = -1
            traceback.print_exc()
    results[name] = [code, out.getvalue(), err.getvalue()]
loaded = [name for name in sys.modules if name.startswith(("dimecli_plugins", "dimecli_grammars"))]
print(json.dumps({"results": results, "loaded": loaded}))
"""

Results = Mapping[str, Any]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """What all commands gave in a process where the built-in plugins cannot be imported."""
    folder = tmp_path_factory.mktemp("alone")
    site = folder / "site"
    info = site / "dime_lone-0.1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: dime-lone\nVersion: 0.1\n")
    (info / "entry_points.txt").write_text("".join(f"[{group}]\n{lines}\n" for group, lines in POINTS.items()))
    (site / "lone_plugins.py").write_text(Path(__file__).with_name("lone_plugins.py").read_text())
    (folder / "lines.cfg").write_text("%max_len 6\nS -> '1' '+' S | 'x' '+' S | 'x'\n")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DIME_")}
    environment = {**kept, "DIME_PLUGINS": "dime-lone", "DIME_CACHE": str(folder / "cache"), "COLUMNS": "200"}
    command = [sys.executable, "-W", "error", "-c", PROGRAM, str(site), json.dumps(COMMANDS)]
    ran = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert ran.returncode == 0, ran.stderr
    found: Results = json.loads(ran.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_works_without_the_built_in_plugins(alone: Results, name: str) -> None:
    code, out, err = alone["results"][name]
    assert code == 0, f"{out}\n{err}"
    named = {found for found in WORD.findall(out + err) if found not in ORDINARY}
    assert not named, "it tells of a plugin that there is not"


def test_no_built_in_plugin_was_imported(alone: Results) -> None:
    assert alone["loaded"] == []


def test_hints_name_what_there_is(alone: Results) -> None:
    told = {name: result[2] for name, result in alone["results"].items()}
    assert "Next, to compare: dime bo" in told["bo"]
    assert "--search lone-baseline" in told["bo"], "another search is there"
    assert "Next, to compare" not in told["sample"], "another density is not"
    rows = json.loads(alone["results"]["plugins list"][1])
    assert {row["origin"] for row in rows} == {"dime-lone 0.1"}
    assert {row["kind"] for row in rows} == {*KINDS}
    assert not [row for row in rows if row["error"]]


def test_what_no_distribution_says_is_told_in_one_line(
    dime: Callable[..., Any], install: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = Path(__file__).with_name("lone_plugins.py").read_text()
    install("dime-mute", "0.1", {"dimecli.objectives": "lone-objective = mute:LoneObjective"}, mute=source)
    monkeypatch.setenv("DIME_PLUGINS", "dime-mute")
    ran = dime("train")
    assert ran.code == 2
    assert ran.err == (
        "Error: no objective is named, and none of the distributions in $DIME_PLUGINS (dime-mute) says which to take; "
        "name one\n"
    )
    assert "no dataset is named" in dime("train", "lone-objective").err
