"""The core knows kinds of plugins, and none by its name: proved on its text; by experiment in test_core_alone.py."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

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
SLOTS = {"name", *KINDS, *(base.option or kind for kind, base in KINDS.items())}  # what is called so may be a plugin
FLAGS = re.compile(rf"--({'|'.join(base.option or kind for kind, base in KINDS.items())})[ =]({'|'.join(NAMES)})\b")


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
    assert not [f"{file}:{found}" for file, tree in sources() for found in taken(tree)]


@pytest.mark.parametrize(
    "source",
    [
        "find('search', 'random')",
        "make(kind, name if name else 'random')",
        "line.plugin('density', lambda: default('density') or 'prior', 'Text')",
        "if entry.name == 'random': pass",
        "if 'random' != entry.name: pass",
        "if name in ('random', 'pcfg'): pass",
        "if search == 'random': pass",
        "match entry.name:\n    case 'random' | 'pcfg': pass",
        "def bo(problem, search='random'): pass",
        "def sample(*, density: str = 'prior'): pass",
        "def sample(chosen: Density | str = 'prior'): pass",
        "search = 'random' if cheap else default('search')",
        "self.density = 'prior'",
        "tables = {'search': {'name': 'random'}}",
        "layer = {'density': 'prior'}",
        "train(objective, dataset='digits')",
        "say(f'Next: dime bo {run} --search random')",
    ],
)
def test_each_way_to_take_one_would_be_found(source: str) -> None:
    assert taken(ast.parse(source))


def taken(tree: ast.AST) -> list[str]:
    """Where a plugin is named: made, chosen, compared, a default, an item of a table, or behind its flag."""
    found = []
    for node in ast.walk(tree):
        values = [value for name, value in _given(node) if name in SLOTS]
        if isinstance(node, ast.Call):
            values += _arguments(node)
        roles = ROLES if isinstance(node, ast.Call) and _called(node.func) in TAKES_A_ROLE else set()
        found += [f"{getattr(node, 'lineno', 0)}: {word}" for word in sorted(_words(values) - roles)]
    return found + [f"{text.lineno}: {text.value!r}" for text in texts(tree) if FLAGS.search(str(text.value))]


def _given(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """Names, and what they are given or compared with there."""
    match node:
        case ast.Dict():
            yield from (
                (str(getattr(key, "value", "")), value) for key, value in zip(node.keys, node.values, strict=True)
            )
        case ast.Call() if _called(node.func) != "Typer":  # the program has a name, too
            yield from ((str(keyword.arg), keyword.value) for keyword in node.keywords)
        case ast.Compare():
            sides = [node.left, *node.comparators]
            yield from ((_called(side), other) for side in sides for other in sides if other is not side)
        case ast.Assign():
            yield from ((_called(target), node.value) for target in node.targets)
        case ast.AnnAssign() if node.value and "Literal" not in ast.unparse(node.annotation):  # of a union of settings
            yield _called(node.target), node.value
        case ast.Match():
            yield from ((_called(node.subject), case.pattern) for case in node.cases)
        case ast.FunctionDef():
            yield from _defaults(node.args)


def _defaults(arguments: ast.arguments) -> Iterator[tuple[str, ast.AST]]:
    """Parameters and their defaults; one that is annotated with a kind of plugin is called after it."""
    positional = [*arguments.posonlyargs, *arguments.args]
    pairs = [*zip(reversed(positional), reversed(arguments.defaults), strict=False)]
    pairs += [(of, value) for of, value in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True) if value]
    plugins = re.compile(rf"\b({'|'.join(base.__name__ for base in KINDS.values())})\b")
    for argument, value in pairs:
        annotated = ast.unparse(argument.annotation) if argument.annotation else ""
        yield "name" if plugins.search(annotated) else argument.arg, value


def _called(node: ast.AST) -> str:
    return str(getattr(node, "attr", getattr(node, "id", "")))


def _arguments(node: ast.Call) -> list[ast.AST]:
    """The arguments of a call that takes a plugin's name, or a role."""
    if _called(node.func) in TAKES_A_NAME | TAKES_A_ROLE:
        return [*node.args, *(keyword.value for keyword in node.keywords)]
    return []


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
