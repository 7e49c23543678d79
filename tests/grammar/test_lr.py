from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from reference import every
from strategies import grammars

from dimecli.grammar import Grammar, lalr
from dimecli.grammar.earley import Earley
from dimecli.grammar.lalr import lalr_tables
from dimecli.grammar.lexer import Lexer
from dimecli.grammar.lr import Automaton, Stuck


def automaton(text: str) -> tuple[Lexer, Automaton | None]:
    grammar = Grammar.compile(f"%max_len 20\n{text}")
    lexer = Lexer(grammar)
    tables = lalr_tables(grammar.lhs.tolist(), lexer.rhs, lexer.end)
    return lexer, tables and Automaton(tables, grammar.lhs.tolist(), lexer.rhs)


@pytest.mark.parametrize(
    ("text", "deterministic"),
    [
        ("S -> L '=' R | R\nL -> '*' R | 'i'\nR -> L", True),  # LALR(1) and not SLR(1)
        ("S -> 'a' A 'd' | 'b' B 'd' | 'a' B 'e' | 'b' A 'e'\nA -> 'c'\nB -> 'c'", False),  # LR(1) and not LALR(1)
        ("S -> S '+' S | 'x'", False),
        ("S -> 'i' S | 'i' S 'e' S | 'x'", False),
        ("S -> '0' S '0' | '1' S '1' |", False),  # unambiguous and not LR
        ("S -> A 'b' | B 'c'\nA -> A 'a' |\nB -> B 'a' |", False),
        ("S -> A B\nA -> 'a' A |\nB -> 'b' B |", True),
        ("S -> '(' S ')' S |", True),
    ],
)
def test_which_grammars_have_tables(text: str, deterministic: bool) -> None:
    assert (automaton(text)[1] is not None) is deterministic


def test_a_grammar_with_too_many_items_has_no_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    for limit in ("MOST_ITEMS", "MOST_CELLS"):
        with monkeypatch.context() as patch:
            patch.setattr(lalr, limit, 5)
            assert automaton("S -> '(' S ')' S |")[1] is None
    assert automaton("S -> '(' S ')' S |")[1] is not None


@settings(derandomize=True, deadline=None, max_examples=150)
@given(grammars(max_len=6))
def test_a_grammar_with_tables_is_unambiguous_and_parsed_as_by_earley(grammar: Grammar) -> None:
    lexer, lhs = Lexer(grammar), grammar.lhs.tolist()
    tables = lalr_tables(lhs, lexer.rhs, lexer.end)
    earley = Earley(lhs, lexer.rhs, grammar.max_len)
    derivations = every(grammar)
    tokens = [lexer.split(grammar.unparse(derivation)) for derivation in derivations]
    if tables is None:
        derivations = [tuple(found) for row in tokens if isinstance(found := earley.parse(row, lexer.end), list)]
        assert [lexer.split(grammar.unparse(derivation)) for derivation in derivations] == tokens
        return
    ids, failures = Automaton(tables, lhs, lexer.rhs).parse(tokens, grammar.max_len)
    assert not failures
    assert [tuple(row[row < grammar.pad].tolist()) for row in ids] == derivations
    assert [earley.parse(row, lexer.end) for row in tokens] == [list(derivation) for derivation in derivations]


@settings(derandomize=True, deadline=None, max_examples=100)
@given(grammars(max_len=6))
def test_both_parsers_fail_alike(grammar: Grammar) -> None:
    lexer, lhs = Lexer(grammar), grammar.lhs.tolist()
    tables = lalr_tables(lhs, lexer.rhs, lexer.end)
    if tables is None:
        return
    rng = np.random.default_rng(0)
    rows = [rng.integers(lexer.end + 2, size=rng.integers(4)).tolist() for _ in range(20)]
    rows = [[token for token in row if token != lexer.end] for row in rows]
    automaton = Automaton(tables, lhs, lexer.rhs)
    _, failures = automaton.parse(rows, grammar.max_len)
    earley = Earley(lhs, lexer.rhs, grammar.max_len)
    for index, row in enumerate(rows):
        ours, theirs = failures.get(index), earley.parse(row, lexer.end)
        if isinstance(ours, Stuck) and isinstance(theirs, Stuck):
            assert ours == theirs
        else:
            assert (ours is None) == isinstance(theirs, list)


def test_a_failure_names_the_token_and_what_could_stand_there() -> None:
    lexer, parser = automaton("S -> '(' S ')' | 'x' S | 'x'")
    assert parser is not None
    ids, failures = parser.parse([lexer.split("(x)"), lexer.split("((x)"), lexer.split("x)"), []], 20)
    left, right, x = (lexer.tokens.index(token) for token in "()x")
    assert failures == {
        1: Stuck(4, (right,)),
        2: Stuck(1, tuple(sorted((left, x, lexer.end)))),
        3: Stuck(0, tuple(sorted((left, x)))),
    }
    assert ids[0].tolist() == [0, 2] + [3] * 18
    assert (ids[1:] == 3).all()
