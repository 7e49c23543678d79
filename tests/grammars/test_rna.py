"""Secondary structures, against a plain checker of dot-bracket strings."""

from __future__ import annotations

import itertools

import numpy as np

from dimecli.registry import make

GRAMMAR = make("grammar", "rna").compile()


def is_structure(text: str) -> bool:
    """Whether brackets are balanced, and no pair encloses fewer than three bases."""
    opened: list[int] = []
    for place, base in enumerate(text):
        if base == "(":
            opened.append(place)
        elif base == ")" and (not opened or place - opened.pop() <= 3):
            return False
    return bool(text) and not opened


def test_the_sentences_are_all_structures_and_no_others() -> None:
    """Of up to 12 bases; a derivation has at most as many productions as its sentence has bases."""
    derived = [text for length in range(1, 13) for text in GRAMMAR.unparse_all(GRAMMAR.enumerate(length))]
    expected = {"".join(text) for n in range(1, 13) for text in itertools.product(".()", repeat=n)}
    expected = {text for text in expected if is_structure(text)}
    assert len(expected) == 1 + 1 + 1 + 1 + 2 + 4 + 8 + 16 + 32 + 65 + 133 + 274
    assert {text for text in derived if text and len(text) <= 12} == expected


def test_sampled_structures_are_balanced_by_construction() -> None:
    for text in GRAMMAR.unparse_all(GRAMMAR.sample(2000, np.random.default_rng(0), "length")):
        assert text is not None
        assert is_structure(text), text


def test_a_derivation_has_a_production_for_each_pair_and_each_unpaired_base() -> None:
    trna = "(((((((..((((........)))).((((.........)))).....(((((.......))))))))))))...."
    ids = GRAMMAR.parse(trna)
    assert is_structure(trna)
    assert (ids != GRAMMAR.pad).sum() == trna.count(".") + trna.count("(") <= GRAMMAR.max_len
    assert GRAMMAR.unparse(ids) == trna
