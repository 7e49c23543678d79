"""A page that says something wrong is found out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pages import Runner, commands, not_printed, run_page
from sybil.example import SybilFailure

FENCE = "```"


@pytest.fixture
def page(dime: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], Runner]:
    def run(text: str) -> Runner:
        file = tmp_path / "page.md"
        file.write_text(text.replace("~~~", FENCE))
        runner = Runner(dime, monkeypatch)
        run_page(file, runner)
        return runner

    return run


def test_a_true_page_passes(page: Callable[[str], Runner]) -> None:
    page(
        """# Words
~~~text title="words.cfg"
%max_len 3
S -> 'a' S | 'b'
~~~
~~~console
$ dime grammar check words.cfg
words.cfg: productions 2, nonterminals 1, ... to mend: nothing
~~~
~~~python
from pathlib import Path
text = Path("words.cfg").read_text()
~~~
~~~python
assert text.startswith("%max_len")
~~~
"""
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("~~~console\n$ dime --version\ndime version none\n~~~", "does not print\ndime version none"),
        ("~~~console\n$ dime runs show none\n~~~", "exits 2, not 0"),
        ("~~~console\n$ dime --version # exits 2\n~~~", "exits 0, not 2"),
        ("~~~console\n$ dime --help\n$ dime trane\n~~~", "no command 'trane'"),
        ("~~~\nplain\n~~~", "a block of ''"),
        ("<!-- not run: long -->\n~~~console\n$ dime train --epoch 3\n~~~", "No such option: --epoch"),
    ],
)
def test_a_wrong_page_fails(page: Callable[[str], Runner], text: str, said: str) -> None:
    with pytest.raises(SybilFailure, match=said.replace("(", r"\(")):
        page(text)


@pytest.mark.parametrize(
    "text", ["~~~python\nassert 1 == 2\n~~~", "~~~python\nx = 1\n~~~\n\n~~~python\nassert x == 2\n~~~"]
)
def test_wrong_python_fails(page: Callable[[str], Runner], text: str) -> None:
    with pytest.raises(AssertionError):
        page(text)


def test_a_page_has_no_other_commands(page: Callable[[str], Runner]) -> None:
    with pytest.raises(ValueError, match="no command 'rm'"):
        page("~~~console\n$ rm -r runs\n~~~")


def test_a_block_that_is_not_run_is_counted(page: Callable[[str], Runner]) -> None:
    runner = page("<!-- not run: it takes hours -->\n~~~console\n$ dime train --epochs 5000\nshown\n~~~")
    assert runner.not_run == ["it takes hours"]


def test_numbers_gaps_and_dots_do_not_count() -> None:
    printed = "wrote runs/2026-11-20-x-1 in 3.14 s\nvalue      -1e-5   nats\n"
    assert not_printed(["wrote runs/2027-01-02-x-3 in 5 s", "value 7 nats", "wrote ... s"], printed) == []
    assert not_printed(["value 7 bits", "wrote runs"], printed) == ["value 7 bits", "wrote runs"]


def test_a_console_block_begins_with_a_command() -> None:
    assert commands("$ dime a 'b c' # exits 2\nsaid")[0] == (["dime", "a", "b c"], 2, ["said"])
    with pytest.raises(ValueError, match="begins with"):
        commands("said")
