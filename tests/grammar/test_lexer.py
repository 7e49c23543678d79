from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from reference import every
from test_parse import spelled_grammars

from dimecli.grammar import Grammar
from dimecli.grammar.lexer import Lexer


def texts(lexer: Lexer, sentence: str) -> list[str]:
    return [lexer.tokens[token] if token < lexer.end else "?" for token in lexer.split(lexer.read(sentence))]


@settings(derandomize=True, deadline=None, max_examples=100)
@given(spelled_grammars())
def test_the_tokens_of_a_sentence_are_those_of_its_derivation(grammar: Grammar) -> None:
    lexer = Lexer(grammar)
    for derivation in every(grammar):
        pending, tokens = [~grammar.start], list[int]()
        for production in derivation:
            while pending[0] >= 0:
                tokens.append(pending.pop(0))
            pending[:1] = lexer.rhs[production]
        assert lexer.split(lexer.read(grammar.unparse(derivation))) == tokens + pending


@pytest.mark.parametrize(
    ("rules", "terminals"),
    [
        ("S -> 'C' S | 'Cl' S | 'O'", True),  # nothing that begins with `l` stands behind `C`
        ("S -> 'C' S | 'Cl' S | 'lO'", False),
        ("S -> 'a' A | 'abcd'\nA -> 'b' B |\nB -> 'c' 'd'", False),  # spelled by three others together
        ("S -> 'a' A | 'abcd'\nA -> 'b' B |\nB -> 'c' 'e'", True),
        ("S -> 'a' 'x' | 'abc' | 'b' 'c'", True),  # `b` does not stand behind `a`
        ("S -> 'a' A 'c' | 'ac' | 'b'\nA -> 'b' |", False),  # through what can be empty
        ("S -> S '*' S | S '**' S | 'x'", True),
        ("S -> '*' S | '**' S | 'x'", False),
        ("%separator ' '\nS -> '*' S | '**' S | 'x'", True),
        ("%separator ', '\nS -> 'a' S | 'a,' S | 'x'", True),  # reads `a,` and `a,,`, which is not followed by a comma
        ("%separator ','\nS -> 'a' S | 'a,a' S | 'x'", False),
    ],
)
def test_terminals_are_tokens_where_the_longest_match_cannot_err(rules: str, terminals: bool) -> None:
    grammar = Grammar.compile(f"%max_len 9\n{rules}")
    suffix = re.sub(r"(?<=\S)\s", "", grammar.rules.separator)
    assert (Lexer(grammar).tokens == tuple(text + suffix for text in grammar.terminals)) is terminals


def test_what_no_token_matches_is_one_character_each() -> None:
    lexer = Lexer(Grammar.compile("%max_len 9\nS -> 'sin(' S ')' | 'x'"))
    assert texts(lexer, "sin(sin x)\0") == ["sin(", "?", "?", "?", "x", ")", "?"]
    assert lexer.explain("sin(  sin x)", 2, [2, 0]) == (7, "'i'", ["'x'", "'sin('"])
    assert lexer.explain("sin(  x ", 2, [1]) == (8, "the end", ["')'"])


def test_places_are_those_of_the_sentence_as_it_was_written() -> None:
    words = Lexer(Grammar.compile("%separator ' '\n%max_len 9\nS -> 'and' S | 'x'"))
    assert texts(words, " and\tx") == ["and ", "x "]
    found = [words.explain(" and\t x", index, []) for index in range(2)]
    assert found == [(1, "'and'", []), (6, "'x'", [])]
