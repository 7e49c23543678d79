"""Grammars by name or by file."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from dimecli.errors import UserError
from dimecli.grammar import Grammar
from dimecli.grammar.evaluate import evaluate
from dimecli.grammar.languages import find_language
from dimecli.registry import make


def test_a_name_gives_the_registered_grammar() -> None:
    assert find_language("boolean") == make("grammar", "boolean")


def test_a_path_gives_the_grammar_in_the_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.cfg"
    file.write_text("%max_len 9\nS -> S '-' T | T\nT -> 'x' | '2'\n")
    language = find_language(str(file))
    grammar, semantics = language.compile(), language.semantics()
    assert (grammar.max_len, language.compile(max_len=7).max_len) == (9, 7)
    assert Grammar.compile(language.text()).fingerprint == grammar.fingerprint
    assert semantics is not None
    assert evaluate(grammar, semantics, grammar.parse("x-2-2")[None], torch.tensor([[5.0]])).item() == 1


def test_the_ending_says_the_notation(tmp_path: Path) -> None:
    file = tmp_path / "mine.bnf"
    file.write_text('<s> ::= <s>+<t> | <t>\n<t> ::= "x" | "1"\n')
    grammar = find_language(str(file)).compile()
    assert grammar.unparse(grammar.parse("x+1+x")) == "x+1+x"
    with pytest.raises(UserError, match="must end in"):
        find_language(str(file.rename(tmp_path / "mine.txt"))).compile()


def test_a_grammar_in_a_file_need_not_be_arithmetic(tmp_path: Path) -> None:
    file = tmp_path / "mine.cfg"
    file.write_text("S -> 'a' S '!' | '?'\n")
    assert find_language(str(file)).semantics() is None


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("expresions", r"no grammar and no file named 'expresions'\. Did you mean 'expressions'\? Known: boolean"),
        ("n" * 10_000, r"no grammar and no file named 'n{57}\.\.\.'\."),
        ("no/such.cfg", r"no grammar and no file named 'no/such\.cfg'\."),
    ],
)
def test_what_is_neither_is_refused(name: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        find_language(name)


def test_a_mistake_in_the_file_names_it(tmp_path: Path) -> None:
    file = tmp_path / "mine.cfg"
    file.write_text("S -> T\n")
    with pytest.raises(UserError, match=r"mine\.cfg:1"):
        find_language(str(file)).compile()
