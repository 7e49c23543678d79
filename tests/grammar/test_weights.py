from __future__ import annotations

import numpy as np
import pytest
from reference import SKEWED

from dimecli.grammar import Grammar
from dimecli.grammar.weights import estimate_weights, with_weights


def test_estimated_weights_are_those_that_the_sample_was_drawn_with() -> None:
    text = "%max_len 277\nS -> S '+' T [2] | S '*' T [1] | T [7]\nT -> '(' S ')' [1] | 'x' [2] | '1' [3]"
    grammar = Grammar.compile(text)
    ids = grammar.sample(50_000, np.random.default_rng(0), "pcfg")
    weights = estimate_weights(grammar, ids)
    np.testing.assert_allclose(weights, [0.2, 0.1, 0.7, 1 / 6, 1 / 3, 1 / 2], atol=0.01)


def test_estimated_weights_are_shares_of_the_counts() -> None:
    grammar = Grammar.compile("%max_len 4\nS -> 'a' S | 'b' S | A\nA -> 'c' | 'd'")
    ids = np.array([[0, 0, 2, 3], [2, 3, 5, 5]], dtype=np.int16)
    np.testing.assert_allclose(estimate_weights(grammar, ids, alpha=1.0), [3 / 7, 1 / 7, 3 / 7, 3 / 4, 1 / 4])
    np.testing.assert_allclose(estimate_weights(grammar, ids[:0], alpha=0.5), [1 / 3, 1 / 3, 1 / 3, 1 / 2, 1 / 2])


def test_what_is_added_to_the_counts() -> None:
    grammar = Grammar.compile("%max_len 4\nS -> 'a' S | 'b'")
    np.testing.assert_allclose(estimate_weights(grammar, grammar.parse("aab")[None], alpha=0.5), [2.5 / 4, 1.5 / 4])


def test_weights_in_a_grammar_follow_into_its_text() -> None:
    grammar = Grammar.compile(SKEWED)
    weights = np.array([0.2, 0.1, 0.7, 1 / 6, 1 / 3, 1 / 2])
    weighted = with_weights(grammar, weights)
    np.testing.assert_allclose(weighted.weights, weights)
    assert weighted.productions != grammar.productions
    assert list(map(str, weighted.productions)) == list(map(str, grammar.productions))
    assert (weighted.max_len, weighted.nonterminals) == (6, grammar.nonterminals)
    assert weighted.fingerprint != grammar.fingerprint
    np.testing.assert_array_equal(Grammar.compile(weighted.text).weights, weighted.weights)
    assert with_weights(Grammar.compile(SKEWED, max_len=5), weights).max_len == 5
    with pytest.raises(ValueError, match="shorter"):
        with_weights(grammar, weights[:3])
    for wrong in (0.0, -1.0, np.nan):
        with pytest.raises(ValueError, match="above 0"):
            with_weights(grammar, np.array([wrong, *weights[1:]]))
