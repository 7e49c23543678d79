"""Mutation and crossover give derivations of the grammar, and can give every one."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from reference import EXPRESSIONS, NULLABLE, SKEWED, derivations, every, p_value, tuples
from strategies import grammars

from dimecli.grammar import Grammar
from dimecli.grammar.sample import By
from dimecli.grammar.unparse import Tree, tree
from dimecli.grammar.variation import crossover, mutate, subtree_sizes

CONSTRAINED = EXPRESSIONS + "%nest 'sin(' 1\n%limit '/' 1\n%require x\n"


def _complete(grammar: Grammar, ids: NDArray[np.int16]) -> bool:
    return ids.shape[1:] == (grammar.max_len,) and None not in grammar.unparse_all(ids)


def _nodes(node: Tree) -> list[Tree]:
    """A tree's nodes in the order of the leftmost derivation."""
    return [node, *(below for child in node.children if isinstance(child, Tree) for below in _nodes(child))]


def _text(node: Tree) -> str:
    return "".join(child if isinstance(child, str) else _text(child) for child in node.children)


@settings(derandomize=True, deadline=None, max_examples=60)
@given(grammars(), st.integers(0, 2**32 - 1))
def test_results_are_derivations(grammar: Grammar, seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = grammar.sample(20, rng), grammar.sample(20, rng)
    for by in ("pcfg", "uniform", "length"):
        assert _complete(grammar, mutate(grammar, a, rng, by))
    for crossed in crossover(grammar, a, b, rng):
        assert _complete(grammar, crossed)


def test_results_obey_constraints() -> None:
    grammar, rng = Grammar.compile(CONSTRAINED), np.random.default_rng(0)
    a, b = grammar.sample(300, rng, "length"), grammar.sample(300, rng, "length")
    results = [mutate(grammar, a, rng), *crossover(grammar, a, b, rng)]
    for result in results:
        assert (result != a).any(1).mean() > 0.3
        for text in grammar.unparse_all(result):
            grammar.parse(str(text))  # raises where a constraint is violated


@settings(derandomize=True, deadline=None, max_examples=40)
@given(grammars(), st.integers(0, 2**32 - 1))
def test_sizes_are_those_of_the_subtrees(grammar: Grammar, seed: int) -> None:
    ids = grammar.sample(10, np.random.default_rng(seed))
    for row, sizes in zip(ids, subtree_sizes(grammar, ids), strict=True):
        nodes = _nodes(tree(grammar, row))
        assert sizes.tolist() == [len(_nodes(node)) for node in nodes] + [0] * (grammar.max_len - len(nodes))


def test_swapped_subtrees_keep_their_text() -> None:
    grammar, rng = Grammar.compile(EXPRESSIONS), np.random.default_rng(3)
    a, b = grammar.sample(200, rng, "length"), grammar.sample(200, rng, "length")
    for rows in zip(a, b, *crossover(grammar, a, b, rng), strict=True):
        trees = [tree(grammar, row) for row in rows]
        swaps = {
            (_swapped(trees[0], m, n), _swapped(trees[1], n, m))
            for m in _nodes(trees[0])
            for n in _nodes(trees[1])
            if m.label == n.label
        }
        assert tuple(map(_text, trees[2:])) in swaps


def _swapped(root: Tree, old: Tree, new: Tree) -> str:
    """The text of a tree with the subtree `new` in place of `old`, which is the same object as one of its nodes."""
    if root is old:
        return _text(new)
    return "".join(child if isinstance(child, str) else _swapped(child, old, new) for child in root.children)


def test_every_pair_of_subtrees_is_swapped_as_often() -> None:
    grammar = Grammar.compile("%max_len 5\nS -> 'a' S | 'b' S | 'c'")
    a, b = grammar.parse("aac"), grammar.parse("bbbc")  # subtrees of 3, 2, 1 and of 4, 3, 2, 1 productions
    n, rng = 4000, np.random.default_rng(0)
    crossed = crossover(grammar, np.tile(a, (n, 1)), np.tile(b, (n, 1)), rng)
    seen = Counter(zip(*map(grammar.unparse_all, crossed), strict=True))
    places = [(i, j) for i in range(3) for j in range(4) if (i, j) != (0, 0) and i + 4 - j <= 5 and j + 3 - i <= 5]
    expected: Counter[tuple[str, str]] = Counter()
    for i, j in places:
        expected["aac"[:i] + "bbbc"[j:], "bbbc"[:j] + "aac"[i:]] += 1
    assert p_value(Counter(map(str, seen.elements())), {str(k): v / len(places) for k, v in expected.items()}) > 0.01


def test_rows_without_a_pair_stay() -> None:
    grammar, rng = Grammar.compile("%max_len 2\nS -> 'a' A | 'b' B\nA -> 'c'\nB -> 'd'"), np.random.default_rng(0)
    a, b = grammar.parse("ac")[None], grammar.parse("bd")[None]
    first, second = crossover(grammar, a, b, rng)
    assert (first == a).all()
    assert (second == b).all()


@pytest.mark.parametrize("text", [SKEWED, NULLABLE])
@pytest.mark.parametrize("by", ["pcfg", "uniform", "length"])
def test_mutants_have_their_law(text: str, by: By) -> None:
    """Against the law worked out by enumeration: a place, any alike, then a subtree that fits."""
    grammar = Grammar.compile(text.replace("%max_len 8", "%max_len 6"))
    start = max(every(grammar), key=len)
    row = np.array([start], dtype=np.int16)
    law: Counter[tuple[int, ...]] = Counter()
    for place, size in enumerate(subtree_sizes(grammar, row)[0, : len(start)].tolist()):
        name = grammar.nonterminals[grammar.lhs[start[place]]]
        new = list(derivations(grammar, (name,), grammar.max_len - len(start) + size))
        lengths = Counter(map(len, new))
        weights = {
            "pcfg": [float(np.prod(grammar.weights[list(ids)])) for ids in new],
            "uniform": [1.0] * len(new),
            "length": [1 / lengths[len(ids)] for ids in new],
        }[by]
        for ids, weight in zip(new, weights, strict=True):
            law[start[:place] + ids + start[place + size :]] += weight / sum(weights) / len(start)  # type: ignore[assignment]
    assert set(law) == set(every(grammar))  # in one step, from anywhere
    mutants = mutate(grammar, np.repeat(row, 8000, axis=0), np.random.default_rng(7), by)
    assert p_value(Counter(tuples(grammar, mutants)), dict(law)) > 0.01


def test_no_rows_give_no_rows() -> None:
    grammar, rng = Grammar.compile(EXPRESSIONS), np.random.default_rng(0)
    none = grammar.sample(0, rng)
    assert mutate(grammar, none, rng).shape == none.shape
    assert [crossed.shape for crossed in crossover(grammar, none, none, rng)] == [none.shape] * 2


def test_a_subtree_that_does_not_fit_is_refused() -> None:
    grammar = Grammar.compile(EXPRESSIONS)
    with pytest.raises(ValueError, match="most must be at least 2"):
        grammar.sampler("pcfg").subtrees(np.array([0]), np.array([1]), np.random.default_rng(0))
