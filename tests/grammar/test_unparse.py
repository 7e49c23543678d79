from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import every
from strategies import grammars
from test_parse import bundled, sentence

from dimecli.grammar import Grammar
from dimecli.grammar.unparse import Tree, tree


@settings(derandomize=True, deadline=None, max_examples=100)
@given(grammars(max_len=6), st.sampled_from(["", " ", "a"]))
def test_sentences_are_those_of_leftmost_rewriting(grammar: Grammar, separator: str) -> None:
    if separator:
        grammar = Grammar.compile(f"%separator '{separator}'\n{grammar.text}")
    derivations = every(grammar)
    ids = np.full((len(derivations), grammar.max_len), grammar.pad, np.int16)
    for row, derivation in zip(ids, derivations, strict=True):
        row[: len(derivation)] = derivation
    expected = [sentence(grammar, derivation) for derivation in derivations]
    assert grammar.unparse_all(ids) == expected
    assert [grammar.unparse(derivation) for derivation in derivations] == expected


@settings(derandomize=True, deadline=None, max_examples=100)
@given(grammars(max_len=5), st.data())
def test_rows_that_are_no_complete_derivation_have_no_sentence(grammar: Grammar, data: st.DataObject) -> None:
    numbers = st.integers(0, grammar.pad)
    row = data.draw(st.lists(numbers, min_size=grammar.max_len, max_size=grammar.max_len))
    complete = {(*derivation, *[grammar.pad] * (grammar.max_len - len(derivation))) for derivation in every(grammar)}
    (text,) = grammar.unparse_all(np.array([row]))
    assert (text is not None) is (tuple(row) in complete)


@pytest.mark.parametrize(
    "ids", [[], [3], [0, 3], [0, 3, 10], [3, 11], [11, 3, 7], [3, 7, 11, 7], [3, -1], [3, -2], [7], [3, 12]]
)
def test_unparse_refuses_what_is_no_derivation(ids: list[int]) -> None:
    grammar = bundled("expressions")
    with pytest.raises(ValueError, match="is no complete derivation"):
        grammar.unparse(ids)
    with pytest.raises(ValueError, match="is no complete derivation"):
        tree(grammar, ids)


def test_a_tree_nests_as_the_productions_do() -> None:
    grammar = bundled("expressions")
    assert tree(grammar, grammar.parse("x+sin(1)")) == Tree(
        "S",
        [Tree("S", [Tree("T", ["x"])]), "+", Tree("T", ["sin(", Tree("S", [Tree("T", ["1"])]), ")"])],
    )
    assert tree(grammar, [3, 7]) == ("S", [("T", ["x"])])


def test_a_deep_tree_is_no_recursion() -> None:
    grammar = Grammar.compile("%max_len 5000\nS -> '(' S ')' | 'x'")
    node: Tree | str = tree(grammar, [0] * 4999 + [1])
    depth = 0
    while isinstance(node, Tree):
        node, depth = node.children[len(node.children) // 2], depth + 1
    assert (node, depth) == ("x", 5000)
