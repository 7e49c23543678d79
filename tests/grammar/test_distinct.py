from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from reference import EXPRESSIONS, KINDS, SKEWED, every, p_value, probabilities, tuples
from strategies import grammars

from dimecli.errors import UserError
from dimecli.grammar import Grammar
from dimecli.grammar.distinct import equal_shares, sample_distinct
from dimecli.grammar.sample import By


@pytest.mark.parametrize("by", KINDS)
def test_distinct_samples_are_distinct_and_exhaust_the_language(by: By) -> None:
    grammar = Grammar.compile(SKEWED)
    language = set(every(grammar))
    for n in (0, 1, 50, len(language) - 1, len(language), 10_000):
        ids = sample_distinct(grammar, n, np.random.default_rng(0), by)
        assert ids.shape == (min(n, len(language)), 6)
        rows = tuples(grammar, ids)
        assert len(set(rows)) == len(rows)
        assert set(rows) <= language
        assert (ids == sample_distinct(grammar, n, np.random.default_rng(0), by)).all()


def test_distinct_samples_by_length_have_equal_shares() -> None:
    grammar = Grammar.compile(EXPRESSIONS)
    ids = sample_distinct(grammar, 10_000, np.random.default_rng(0))
    assert len(np.unique(ids, axis=0)) == 10_000
    lengths, shares = np.unique((ids != grammar.pad).sum(1), return_counts=True)
    assert dict(zip(lengths.tolist(), shares.tolist(), strict=True)) == {
        2: 4, 4: 60, 6: 1_044, 8: 2_223, 10: 2_223, 12: 2_223, 14: 2_223
    }  # fmt: skip
    assert 0.2 < ((ids[:5_000] != grammar.pad).sum(1) == 14).mean() < 0.25  # in no order


@given(counts=grammars().map(lambda grammar: [n for n in grammar.counts[0] if n]))
@settings(derandomize=True, deadline=None, max_examples=50)
def test_shares_are_as_equal_as_counts_allow(counts: list[int]) -> None:
    for n in (0, 1, len(counts), 17, sum(counts) // 2, sum(counts), sum(counts) + 5):
        shares = equal_shares(counts, n)
        assert sum(shares) == min(n, sum(counts))
        assert all(0 <= share <= count for share, count in zip(shares, counts, strict=True))
        unfilled = [share for share, count in zip(shares, counts, strict=True) if share < count]
        assert not unfilled or max(shares) <= min(unfilled) + 1


@pytest.mark.parametrize("by", ["uniform", "pcfg"])
def test_distinct_samples_are_drawn_without_replacement(by: By) -> None:
    grammar = Grammar.compile("%max_len 3\nS -> 'a' S [1] | 'b' [3]")  # three sentences
    p = probabilities(grammar, by)
    pairs = {(a, b): p[a] * p[b] / (1 - p[a]) for a in p for b in p if a != b}
    rng = np.random.default_rng(0)
    drawn = Counter(tuple(tuples(grammar, sample_distinct(grammar, 2, rng, by))) for _ in range(3_000))
    assert p_value(Counter({(a, b): n for (a, b), n in drawn.items()}), pairs) > 1e-4


def test_distinct_samples_of_a_large_language_follow_the_weights() -> None:
    """The first of many distinct derivations has the law of a single one: here by its length."""
    grammar = Grammar.compile(EXPRESSIONS)
    sampler = grammar.sampler("pcfg")
    rng = np.random.default_rng(0)
    firsts = [sample_distinct(grammar, 3, rng, "pcfg")[0] for _ in range(1_000)]
    drawn = Counter(int((row != grammar.pad).sum()) for row in firsts)
    law = dict(zip(sampler.lengths.tolist(), sampler.length_probs.tolist(), strict=True))
    assert p_value(drawn, law) > 1e-4


@pytest.mark.parametrize("by", KINDS)
@pytest.mark.parametrize("n", [5, 20_000])
def test_distinct_samples_are_the_callers_own(by: By, n: int) -> None:
    ids = sample_distinct(Grammar.compile(EXPRESSIONS), n, np.random.default_rng(0), by)
    assert ids.flags.writeable  # torch warns of others


def test_distinct_samples_that_do_not_come_up_are_refused() -> None:
    grammar = Grammar.compile("%max_len 30\nS -> 'a' S [1e-9] | 'b' S [1e-9] | 'c' [1]")
    assert sum(grammar.counts[0]) > 10**6
    with pytest.raises(UserError, match="different derivations of the 50 asked for; ask for fewer, or sample by len"):
        sample_distinct(grammar, 50, np.random.default_rng(0), "pcfg")
    assert len(sample_distinct(grammar, 50, np.random.default_rng(0), "length")) == 50
