"""A function of the user's as the oracle, and what is none."""

from __future__ import annotations

import os
import pickle
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dimecli.errors import UserError
from dimecli.registry import make
from dimecli.testing.contract import Contract
from dimecli.testing.problems import check_problem
from dimecli_plugins.problems.python import Python

LANGUAGE = make("grammar", "boolean")
MINE = """
from dataclasses import dataclass

@dataclass
class Weight:
    a: 'float' = 2.0

def f(sentence):
    return Weight().a * len(sentence)

def pair(a, b):
    return 0

class Counter:
    calls = 0
    def __call__(self, sentence, scale=1):
        self.calls += 1
        return self.calls

counter = Counter()
number = 3
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current folder, with mine.py."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "mine.py").write_text(MINE)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def values(problem: Python, *sentences: str) -> list[Any]:
    problem.check(LANGUAGE)
    return problem.evaluate(sentences, LANGUAGE)


def test_it_keeps_the_contract_of_problems() -> None:
    problem = Python(function="mine.py:f")
    assert values(problem, "a", "a&b") == [2, 6]
    contract = Contract()
    check_problem(contract, problem)
    assert contract.findings
    assert all(finding.held for finding in contract.findings), contract.findings


def test_the_file_is_found_from_any_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    problem = Python(function="mine.py:f")
    monkeypatch.chdir("/")
    assert problem.function == f"{folder / 'mine.py'}:f"
    assert list(problem.files) == [folder / "mine.py"]
    assert values(pickle.loads(pickle.dumps(problem)), "a") == [2]
    assert make("problem", "python", **problem.options()) == problem


def test_direction_and_worst_are_options() -> None:
    problem = make("problem", "python", function="mine.py:f", direction="min", worst=7)
    assert (problem.direction, problem.worst, problem.optimum, problem.cheap) == ("min", 7, None, False)
    assert (Python().direction, Python().worst) == ("max", None)


def test_it_is_imported_once_until_it_changes(folder: Path) -> None:
    problem = Python(function="mine.py:counter")
    assert values(problem, "a", "b") == [1, 2]
    assert values(problem, "a") == [3]
    old = (folder / "mine.py").stat()
    (folder / "mine.py").write_text(MINE.replace("calls = 0", "calls = 9"))  # of the same length
    os.utime(folder / "mine.py", ns=(old.st_atime_ns, old.st_mtime_ns + 1))
    assert values(problem, "a") == [10]
    assert not list(folder.glob("**/__pycache__"))


def test_it_can_import_what_lies_beside_it(folder: Path) -> None:
    (folder / "beside_mine.py").write_text("def f(sentence):\n    return 5\n")
    (folder / "other.py").write_text("from beside_mine import f\n")
    assert values(Python(function="other.py:f"), "a") == [5]


@pytest.mark.parametrize("function", ["mine.py", "mine:f", "mine.py:", "mine.py:a b", ":f", ""])
def test_what_names_no_function_is_refused(function: str) -> None:
    with pytest.raises(UserError, match=r"function: should be FILE\.py:NAME, got"):
        make("problem", "python", function=function)


@pytest.mark.parametrize(
    ("function", "source", "says"),
    [
        (None, "", "problem 'python' needs --function FILE.py:NAME"),
        ("none.py:f", "", "none.py:f: cannot be read (No such file or directory)"),
        ("mine.py:pairs", MINE, "mine.py:pairs: the file has no such function. Did you mean 'pair'?"),
        ("mine.py:number", MINE, "mine.py:number: must take a sentence, and nothing else (3 is not a callable object)"),
        (
            "mine.py:pair",
            MINE,
            "mine.py:pair: must take a sentence, and nothing else (missing a required argument: 'b')",
        ),
        ("mine.py:f", "import os\n\n1/0\n", "mine.py:3: ZeroDivisionError: division by zero"),
        ("mine.py:f", "def f(:\n", "mine.py:1: SyntaxError: invalid syntax"),
        ("mine.py:f", "import no_such_module\n", "mine.py:1: ModuleNotFoundError: No module named 'no_such_module'"),
        ("mine.py:f", "import sys\nsys.exit('bye')\n", "mine.py:2: SystemExit: bye"),
    ],
)
def test_mistakes_are_told_in_one_line(folder: Path, function: str | None, source: str, says: str) -> None:
    (folder / "mine.py").write_text(source)
    with pytest.raises(UserError, match=re.escape(says)) as caught:
        Python(function=function).check(LANGUAGE)
    assert "\n" not in str(caught.value)
