"""The core knows kinds of plugins, and none by its name: proved on its text, and by leaving out all built-in ones."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from dimecli.plugin import KINDS
from dimecli.registry import registered

CORE = Path(__file__).parents[1] / "dimecli"
NAMES = {entry.name for kind in KINDS for entry in registered(kind) if entry.distribution == "dimecli"}
WORD = re.compile(rf"(?<![\w-])({'|'.join(sorted(map(re.escape, NAMES), key=len, reverse=True))})(?![\w-])")

ORDINARY = {
    "arrays": "what samples are written as",
    "bo": "a command",
    "boolean": "a type",
    "celeba": "a column of tables in papers, in nn/conv.py",
    "character": "what texts are made of",
    "cifar10": "a column of tables in papers, in nn/conv.py",
    "command": "what one types",
    "csv": "a format of `dime compare`",
    "digits": "what numbers are made of",
    "dime": "the program",
    "duplicates": "an English word",
    "expressions": "an English word",
    "flow": "an English word",
    "gaussian": "a likelihood of the data",
    "linear": "layers, and a path between codes",
    "mlflow": "a library that is slow to import",
    "mnist": "a column of tables in papers, in nn/conv.py",
    "nearest": "a command",
    "nll": "a method of models and likelihoods",
    "norms": "layers",
    "pcfg": "a way to draw from a grammar",
    "prior": "a method of models",
    "processes": "of the operating system",
    "python": "the language",
    "random": "an English word, and a way to choose initial sentences",
    "reconstruction": "a term of a loss",
    "sentences": "what grammars have, and a role of defaults",
    "threads": "of the processor",
    "trackio": "a library that is slow to import",
    "wandb": "a library that is slow to import",
}
"""What names of plugins are in the core besides: none of these may be taken for a plugin there."""

ROLES = {"sentences", "function", "program"}  # words of `dimecli.defaults.Role` that are no names of plugins
TAKES_A_NAME = {"find", "make", "entry", "plugin", "plugins", "_plugin"}
TAKES_A_ROLE = {"default", "optional"}


def sources() -> Iterator[tuple[str, ast.Module]]:
    for file in sorted(CORE.rglob("*.py")):
        yield str(file.relative_to(CORE)), ast.parse(file.read_text(encoding="utf-8"))


def texts(tree: ast.AST) -> Iterator[ast.Constant]:
    """All constants that are text, docstrings among them: help texts of plugins' bases come from those."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node


def test_the_core_imports_no_package_of_plugins() -> None:
    for file, tree in sources():
        for node in ast.walk(tree):
            imported = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            imported += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            tops = {module.partition(".")[0] for module in imported}
            assert not tops & {"dimecli_plugins", "dimecli_grammars"}, file
        for text in texts(tree):
            assert not re.search("dimecli_(plugins|grammars)", str(text.value)), f"{file}:{text.lineno}"


def test_no_text_of_the_core_has_the_name_of_a_plugin() -> None:
    found = [
        f"{file}:{text.lineno}: {name}"
        for file, tree in sources()
        for text in texts(tree)
        for name in WORD.findall(str(text.value))
        if name not in ORDINARY
    ]
    assert not found


def test_the_table_of_ordinary_words_is_no_longer_than_it_must_be() -> None:
    used = {name for _, tree in sources() for text in texts(tree) for name in WORD.findall(str(text.value))}
    assert ORDINARY.keys() <= used
    assert ORDINARY.keys() <= NAMES


def test_no_ordinary_word_is_taken_for_a_plugin() -> None:
    """Neither where one is made or chosen, nor compared, nor the default of a parameter for one, nor behind a flag."""
    kinds = "|".join(base.option or kind for kind, base in KINDS.items())
    flags = re.compile(rf"--({kinds})[ =]({'|'.join(NAMES)})\b")
    found = []
    for file, tree in sources():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                found += [f"{file}:{node.lineno}: {name}" for name in _named(node)]
            elif isinstance(node, ast.Compare) and _called(node.left) == "name":
                found += [f"{file}:{node.lineno}: compared with {name}" for name in _words(node.comparators)]
            elif isinstance(node, ast.FunctionDef):
                found += [f"{file}:{node.lineno}: {name}" for name in _defaults_for_plugins(node)]
        found += [f"{file}:{text.lineno}: {text.value!r}" for text in texts(tree) if flags.search(str(text.value))]
    assert not found


def _called(node: ast.expr) -> str:
    return str(getattr(node, "attr", getattr(node, "id", "")))


def _named(node: ast.Call) -> set[str]:
    """The names of plugins in the arguments of a call that takes a plugin's name, or a role."""
    arguments = [*node.args, *(keyword.value for keyword in node.keywords)]
    if _called(node.func) in TAKES_A_ROLE:
        return _words(arguments) - ROLES
    return _words(arguments) if _called(node.func) in TAKES_A_NAME else set()


def _words(nodes: Iterable[ast.AST]) -> set[str]:
    """Names of plugins that are whole texts in there, those in calls that take a role left out."""
    found = set()
    waiting = list(nodes)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Call) and _called(node.func) in TAKES_A_ROLE:
            continue
        if isinstance(node, ast.Constant) and node.value in NAMES:
            found.add(str(node.value))
        waiting += ast.iter_child_nodes(node)
    return found


def _defaults_for_plugins(node: ast.FunctionDef) -> Iterator[str]:
    arguments = node.args
    positional = [*arguments.posonlyargs, *arguments.args]
    pairs = [*zip(reversed(positional), reversed(arguments.defaults), strict=False)]
    pairs += [(of, value) for of, value in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True) if value]
    plugins = re.compile(rf"\b({'|'.join(base.__name__ for base in KINDS.values())})\b")
    for argument, value in pairs:
        annotated = ast.unparse(argument.annotation) if argument.annotation else ""
        if isinstance(value, ast.Constant) and value.value in NAMES and plugins.search(annotated):
            yield str(value.value)


# ---- the same by experiment: a distribution of a stranger is all that there is ----

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
