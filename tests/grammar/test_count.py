from __future__ import annotations

from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from reference import EXPRESSIONS, derivations, every
from strategies import grammars

from dimecli.grammar import Grammar
from dimecli.grammar.count import MOST_ROWS, count, longest_sentence
from dimecli.grammar.rules import Nonterminal

checked = settings(derandomize=True, deadline=None, max_examples=60)


def sentence(grammar: Grammar, ids: tuple[int, ...]) -> list[str]:
    """Terminals of a derivation, by rewriting the leftmost nonterminal again and again."""
    form: list[Nonterminal | str] = [Nonterminal(grammar.nonterminals[0])]
    for number in ids:
        place = next(k for k, symbol in enumerate(form) if isinstance(symbol, Nonterminal))
        form[place : place + 1] = grammar.productions[number].rhs
    return [str(symbol) for symbol in form]


@given(grammars(max_len=7))
@checked
def test_counts_are_those_of_a_search(grammar: Grammar) -> None:
    for name, counts in zip(grammar.nonterminals, grammar.counts, strict=True):
        lengths = [len(ids) for ids in derivations(grammar, (name,), 7)]
        assert list(counts) == np.bincount(lengths, minlength=8).tolist()


def test_counts_of_expressions_are_the_known_ones() -> None:
    counts = Grammar.compile(EXPRESSIONS).counts[0]
    known = {2: 4, 4: 60, 6: 1_044, 8: 19_980, 10: 407_268, 12: 8_675_100, 14: 190_837_620}
    assert counts == tuple(known.get(n, 0) for n in range(16))
    assert sum(counts) == 199_941_076


@pytest.mark.parametrize("arity", [2, 3, 5])
def test_counts_of_trees_are_exact_at_any_size(arity: int) -> None:
    grammar = Grammar.compile(f"%max_len 277\nS -> 'a' {' S' * arity} | 'b'")
    expected = [0] * 278
    for inner in range((277 - 1) // arity + 1):  # Fuss and Catalan
        expected[arity * inner + 1] = comb(arity * inner, inner) // ((arity - 1) * inner + 1)
    assert grammar.counts == (tuple(expected),)
    assert all(type(n) is int for n in grammar.counts[0])
    assert count(grammar, 30) == (tuple(expected[:31]),)


@given(grammars(max_len=7))
@checked
def test_enumeration_is_that_of_a_search_in_lexicographic_order(grammar: Grammar) -> None:
    for length in range(8):
        rows = grammar.enumerate(length)
        assert rows.dtype == np.int16
        padding = (grammar.pad,) * (7 - length)
        assert rows.tolist() == [list(ids + padding) for ids in every(grammar) if len(ids) == length]


def test_enumeration_of_many_is_sorted_and_without_repetition() -> None:
    rows = Grammar.compile(EXPRESSIONS).enumerate(10)
    assert rows.shape == (407_268, 15)
    keys = (rows[:, :10].astype(np.int64) * 11 ** np.arange(9, -1, -1)).sum(1)
    assert (np.diff(keys) > 0).all()


def test_enumeration_of_deep_derivations_does_not_recurse() -> None:
    grammar = Grammar.compile("%max_len 3001\nS -> 'a' S | 'b'")
    assert grammar.enumerate(3001).tolist() == [[0] * 3000 + [1]]


def test_enumeration_refuses_what_it_cannot_hold() -> None:
    grammar = Grammar.compile(EXPRESSIONS)
    with pytest.raises(ValueError, match=rf"190,837,620 derivations of length 14 are too many: at most {MOST_ROWS:,}"):
        grammar.enumerate(14)
    for length in (-1, 16):
        with pytest.raises(ValueError, match=rf"length must be in 0..15. Got {length}"):
            grammar.enumerate(length)


@pytest.mark.parametrize("separator", ["", "; "])
@given(grammar=grammars(max_len=7))
@checked
def test_the_longest_sentence_is_that_of_a_search(grammar: Grammar, separator: str) -> None:
    if separator:
        grammar = Grammar.compile(f"{grammar.text}%separator '{separator}'")
    sentences = [sentence(grammar, ids) for ids in every(grammar)]
    assert longest_sentence(grammar) == max(len(separator.join(tokens)) for tokens in sentences)


def test_the_longest_expression() -> None:
    grammar = Grammar.compile(EXPRESSIONS)
    assert longest_sentence(grammar) == len("sin(" * 6 + "x" + ")" * 6)
