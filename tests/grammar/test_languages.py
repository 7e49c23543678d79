"""Grammars by name or by file."""

from __future__ import annotations

import pickle
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
    assert (grammar.max_len, find_language(str(file), 7).compile().max_len) == (9, 7)
    assert Grammar.compile(language.text()).fingerprint == grammar.fingerprint
    assert semantics is not None
    assert evaluate(grammar, semantics, grammar.parse("x-2-2")[None], torch.tensor([[5.0]])).item() == 1


def test_it_is_compiled_once_and_travels_without_the_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.cfg"
    file.write_text("S -> S '+' T | T\nT -> 'x' | 'y'\n")
    language = find_language(str(file))
    sent = pickle.dumps(language)
    file.write_text("S -> 'z'\n")
    assert pickle.loads(sent).compile() is language.compile()
    assert find_language(str(file)).compile().terminals == ("z",)
    assert find_language(str(file)) != language


def test_arithmetic_has_the_problem_of_expressions(tmp_path: Path) -> None:
    file = tmp_path / "mine.cfg"
    file.write_text("S -> S '+' T | T\nT -> 'x' | 'y'\n")
    assert find_language(str(file)).problem == find_language("expressions").problem == "expression-regression"
    file.write_text("S -> 'a' S '!' | '?'\n")
    assert find_language(str(file)).problem is None


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


def test_a_maximum_length_of_nothing_is_refused_for_names_and_files(tmp_path: Path) -> None:
    file = tmp_path / "mine.cfg"
    file.write_text("S -> 'x'\n")
    for name in ("expressions", str(file)):
        with pytest.raises(UserError, match=r"max_length: should be greater than or equal to 1, got 0"):
            find_language(name, 0)
