"""A program of the user's as the oracle, and what is none."""

from __future__ import annotations

import pickle
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from dimecli.errors import UserError
from dimecli.plugin import Outcome
from dimecli.registry import make
from dimecli_plugins.problems.command import Command

LANGUAGE = make("grammar", "boolean")


def run(program: str, *sentences: str, arguments: str = "{}") -> list[Any]:
    """What a Python program makes of the sentences."""
    Path("program.py").write_text(f"import sys\n{program}\n")
    problem = Command(command=f"'{sys.executable}' program.py {arguments}")
    problem.check(LANGUAGE)
    return problem.evaluate(sentences, LANGUAGE)


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_sentence_is_one_argument_and_no_shell_sees_it() -> None:
    odd = "a b; echo 9 > file $(touch file) 'c\" *"
    length = "print('so:'); print(len(sys.argv), len(sys.argv[1]))"
    assert run(length, "a|b", odd, "") == [3, len(odd), 0]
    assert run("print(sys.argv[1:] == ['--e=a b', 'x y'] and 1)", "a b", arguments="--e={} 'x y'") == [1]
    assert not Path("file").exists()


def test_without_a_place_for_it_the_sentence_is_the_input() -> None:
    assert run("print(len(sys.stdin.read()), len(sys.argv))", "a|b", arguments="") == [1]
    assert run("print(1, len(sys.stdin.buffer.read()))", "é|b", arguments="") == [5]


def test_the_last_word_is_the_value() -> None:
    assert run("print('best 7\\nvalue: -1.5e3\\n')", "a") == [-1500]
    assert run("print()", "a") == [Outcome(None, "printed nothing")]
    assert run("print('1.5 m')", "a") == [Outcome(None, "printed 'm', no number")]


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("sys.exit('no such cell\\nmore')", "no such cell"),
        ("print(5); sys.exit(3)", "exit code 3"),
        ("import os; os.kill(os.getpid(), 9)", "killed by signal 9"),
    ],
)
def test_another_exit_code_than_0_is_invalid(program: str, reason: str) -> None:
    assert run(program, "a") == [Outcome(None, reason)]


def test_it_runs_in_its_folder_wherever_the_search_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "score.sh"
    script.write_text('#!/bin/sh\necho "$(ls score.sh | wc -l)"\n')
    script.chmod(0o755)
    problem = Command(command="./score.sh {}")
    monkeypatch.chdir("/")
    for twin in (pickle.loads(pickle.dumps(problem)), make("problem", "command", **problem.options())):
        assert twin == problem
        twin.check(LANGUAGE)
        assert twin.evaluate(["a", "b"], LANGUAGE) == [1, 1]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({}, "problem 'command' needs --command 'PROGRAM {}'"),
        ({"command": "no-such-program {}"}, "--command: no program 'no-such-program' that can be run"),
        ({"command": "./none {}"}, "--command: no program './none' that can be run"),
        ({"command": "sh", "folder": "nowhere"}, "nowhere: no such folder"),
        ({"command": "echo '"}, "command: No closing quotation, got"),
        ({"command": " "}, "command: should be a program and its arguments, got"),
    ],
)
def test_mistakes(options: dict[str, Any], says: str) -> None:
    with pytest.raises(UserError, match=re.escape(says)):
        make("problem", "command", **options).check(LANGUAGE)
