from __future__ import annotations

from collections import Counter
from dataclasses import replace
from fractions import Fraction
from math import prod
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from numpy.typing import NDArray
from reference import EXPRESSIONS, KINDS, LONG, NULLABLE, SKEWED, every, p_value, probabilities, tuples
from scipy import stats
from strategies import grammars

from dimecli.errors import UserError
from dimecli.grammar import Grammar
from dimecli.grammar.sample import By, Sampler
from dimecli.grammar.weights import estimate_weights


def complete(grammar: Grammar, ids: NDArray[Any]) -> bool:
    """Whether every row is a whole leftmost derivation."""
    for row in tuples(grammar, ids):
        stack = [0]
        for number in row:
            if not stack or stack.pop() != grammar.lhs[number]:
                return False
            stack += reversed(grammar.children[number])
        if stack:
            return False
    return True


@pytest.mark.parametrize("by", KINDS)
@pytest.mark.parametrize("text", [NULLABLE, SKEWED])
def test_samples_have_the_exact_law(text: str, by: By) -> None:
    grammar = Grammar.compile(text)
    ids = grammar.sample(40_000, np.random.default_rng(0), by)
    assert ids.dtype == np.int16
    assert p_value(Counter(tuples(grammar, ids)), probabilities(grammar, by)) > 1e-4


@given(grammars(max_len=6))
@settings(derandomize=True, deadline=None, max_examples=40)
def test_samples_of_any_grammar_have_the_exact_law(grammar: Grammar) -> None:
    for by in KINDS:
        ids = grammar.sample(2_000, np.random.default_rng(0), by)
        assert p_value(Counter(tuples(grammar, ids)), probabilities(grammar, by)) > 1e-6


def test_the_chi_square_test_finds_another_law() -> None:
    grammar = Grammar.compile(SKEWED)
    for drawn in KINDS:
        counts = Counter(tuples(grammar, grammar.sample(40_000, np.random.default_rng(0), drawn)))
        assert [p_value(counts, probabilities(grammar, by)) > 1e-4 for by in KINDS] == [by == drawn for by in KINDS]


def test_conditioning_is_rejection() -> None:
    """The weighted grammar, derived symbol by symbol without a bound, and what became too long thrown away."""
    grammar = Grammar.compile(SKEWED)
    rng = np.random.default_rng(1)
    kept: Counter[tuple[int, ...]] = Counter()
    for _ in range(20_000):
        stack, row = [0], list[int]()
        while stack and len(row) <= grammar.max_len:
            choices = grammar.by_lhs[stack.pop()]
            row.append(int(rng.choice(choices, p=grammar.weights[list(choices)])))
            stack += reversed(grammar.children[row[-1]])
        if len(row) <= grammar.max_len:
            kept[tuple(row)] += 1
    drawn = Counter(tuples(grammar, grammar.sample(20_000, rng, "pcfg")))
    table = np.array([[kept[ids], drawn[ids]] for ids in kept | drawn if kept[ids] + drawn[ids] >= 10])
    assert len(table) > 30
    assert stats.chi2_contingency(table).pvalue > 1e-4


def test_long_derivations_are_complete_and_their_lengths_have_the_exact_law() -> None:
    grammar = Grammar.compile(LONG)
    assert max(grammar.counts[0]) > 10**80
    for by in KINDS:
        assert complete(grammar, grammar.sample(200, np.random.default_rng(0), by))
    total = sum(grammar.counts[0])
    law = {n: float(Fraction(ways, total)) for n, ways in enumerate(grammar.counts[0]) if ways}
    sampler = grammar.sampler("uniform")
    assert sampler.lengths.tolist() == list(law)
    np.testing.assert_allclose(sampler.length_probs, list(law.values()), rtol=1e-10)
    np.testing.assert_allclose(grammar.sampler("length").length_probs, 1 / len(law))


def test_the_splits_of_long_derivations_have_the_exact_law() -> None:
    """The first subtree of a binary tree with 138 inner nodes: a ratio of Catalan numbers of up to 80 digits."""
    grammar = Grammar.compile("%max_len 277\nS -> 'a' S S | 'b'")
    ids = grammar.sampler("uniform").of_lengths(np.full(20_000, 277), np.random.default_rng(0))
    height = np.cumsum(np.where(ids == 0, 1, -1), axis=1)  # subtrees still to come, less one
    first = (height[:, 1:] == 0).argmax(1) + 1  # productions of the first subtree
    counts = grammar.counts[0]
    law = {n: float(Fraction(counts[n] * counts[276 - n], counts[277])) for n in range(1, 276, 2)}
    assert p_value(Counter(first.tolist()), law) > 1e-4


def test_weights_that_vanish_in_floating_point_still_give_every_length() -> None:
    grammar = Grammar.compile("%max_len 277\nS -> 'a' S S [1e-30] | 'b' S [1e-30] | 'c' [1]")
    sampler = grammar.sampler("pcfg")
    assert sampler.lengths.tolist() == list(range(1, 278))
    lengths = np.array([277, 1, 200, 277])
    ids = sampler.of_lengths(lengths, np.random.default_rng(0))
    assert complete(grammar, ids)
    assert (ids != grammar.pad).sum(1).tolist() == lengths.tolist()


def test_lengths_can_be_given_more_than_fit_at_a_time() -> None:
    grammar = Grammar.compile(EXPRESSIONS)
    rng = np.random.default_rng(0)
    lengths = rng.choice([2, 4, 8, 14], size=20_000)
    ids = grammar.sampler("uniform").of_lengths(lengths, rng)
    assert ((ids != grammar.pad).sum(1) == lengths).all()
    assert complete(grammar, ids)
    assert grammar.sampler("uniform").of_lengths(lengths[:0], rng).shape == (0, 15)
    with pytest.raises(ValueError, match=r"lengths must be among \[2, 4, 6, 8, 10, 12, 14\]. Got \[3\]"):
        grammar.sampler("uniform").of_lengths(np.array([3]), rng)


def test_a_production_without_weight_is_never_drawn_and_none_at_all_is_refused() -> None:
    grammar = Grammar.compile(SKEWED)
    productions = [replace(p, weight=0.0) if str(p) == "T -> 'x'" else p for p in grammar.productions]
    ids = Sampler(replace(grammar, productions=tuple(productions)), "pcfg")(2_000, np.random.default_rng(0))
    assert (ids == 5).any()
    assert not (ids == 4).any()
    productions = [replace(p, weight=0.0) if str(p) in ("T -> 'x'", "T -> '1'") else p for p in grammar.productions]
    with pytest.raises(UserError, match="the weights allow no derivation of at most 6"):
        Sampler(replace(grammar, productions=tuple(productions)), "pcfg")


def test_tables_that_would_fill_the_memory_are_refused() -> None:
    with pytest.raises(UserError, match="too large to sample from, with 2 productions in derivations of up to 9,000;"):
        Grammar.compile("%max_len 9000\nS -> 'a' S S | 'b'").sampler("uniform")


@pytest.mark.parametrize("by", KINDS)
def test_a_seed_gives_the_same_samples(by: By) -> None:
    first, again, other = (Grammar.compile(EXPRESSIONS).sample(100, np.random.default_rng(s), by) for s in (7, 7, 8))
    assert (first == again).all()
    assert (first != other).any()


def test_constraints_condition_the_weighted_grammar() -> None:
    """Two copies of a nonterminal, one of which cannot nest: each derivation keeps its weight without constraints."""
    base = Grammar.compile("%max_len 6\nS -> 'a' S [2] | '(' S ')' [1] | 'x' [1]")
    copies = Grammar.compile("%max_len 6\nS -> 'a' S | '(' I ')' | 'x'\nI -> 'a' I | 'x'")  # no bracket in another
    grammar = replace(copies, base=base, origin=np.array([0, 1, 2, 0, 2]))
    weight = np.array([0.5, 0.25, 0.25, 0.5, 0.25])
    law = {ids: float(prod(weight[list(ids)])) for ids in every(grammar)}
    law = {ids: p / sum(law.values()) for ids, p in law.items()}
    ids = grammar.sample(20_000, np.random.default_rng(0), "pcfg")
    assert p_value(Counter(tuples(grammar, ids)), law) > 1e-4
    used = Counter(grammar.origin[ids[ids != grammar.pad]].tolist())
    expected = [(used[k] + 1) / (used.total() + 3) for k in range(3)]
    np.testing.assert_allclose(estimate_weights(grammar, ids), expected)
