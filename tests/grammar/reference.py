"""What counting, enumeration and sampling are checked against: derivations found by search, and their laws."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from dimecli.grammar import Grammar
from dimecli.grammar.rules import Nonterminal
from dimecli.grammar.sample import By

KINDS: tuple[By, ...] = ("uniform", "length", "pcfg")
EXPRESSIONS = """
%max_len 15
S -> S '+' T | S '*' T | S '/' T | T
T -> '(' S ')' | 'sin(' S ')' | 'exp(' S ')' | 'x' | '1' | '2' | '3'
"""
NULLABLE = "%max_len 8\nS -> 'a' A B A [3] | 'd' B S [2] | [1]\nA -> 'b' S [1] | 'c' [4]\nB -> A A [0.5] | [1.5]"
SKEWED = "%max_len 6\nS -> S '+' T [1] | S '*' T [5] | T [4]\nT -> '(' S ')' [3] | 'x' [6] | '1' [1]"
LONG = "%max_len 277\nS -> A S B A C | 'x' A | B\nA -> 'a' | 'b' S | C 'c'\nB -> 'd' A A | 'e'\nC -> '(' S ')' | B B"


def derivations(grammar: Grammar, symbols: tuple[str, ...], budget: int) -> Iterator[tuple[int, ...]]:
    """Every way to derive the nonterminals in at most `budget` productions, by search on the symbols themselves."""
    if not symbols:
        yield ()
    elif budget > 0:
        for number, production in enumerate(grammar.productions):
            if production.lhs.name == symbols[0]:
                under = tuple(s.name for s in production.rhs if isinstance(s, Nonterminal))
                for rest in derivations(grammar, under + symbols[1:], budget - 1):
                    yield (number, *rest)


def every(grammar: Grammar) -> list[tuple[int, ...]]:
    return sorted(derivations(grammar, (grammar.nonterminals[0],), grammar.max_len))


def probabilities(grammar: Grammar, by: By) -> dict[tuple[int, ...], float]:
    """Of every derivation, by the definition."""
    found = every(grammar)
    if by == "uniform":
        return dict.fromkeys(found, 1 / len(found))
    if by == "length":
        counts = Counter(map(len, found))
        return {ids: 1 / len(counts) / counts[len(ids)] for ids in found}
    weights = {ids: prod(grammar.weights[list(ids)]) for ids in found}
    return {ids: weight / sum(weights.values()) for ids, weight in weights.items()}


def tuples(grammar: Grammar, ids: NDArray[Any]) -> list[tuple[int, ...]]:
    """Rows without their padding, which has to be a tail."""
    lengths = (ids != grammar.pad).sum(1)
    assert all((row[length:] == grammar.pad).all() for row, length in zip(ids, lengths, strict=True))
    return [tuple(row[:length].tolist()) for row, length in zip(ids, lengths, strict=True)]


def p_value(drawn: Counter[Any], expected: dict[Any, float]) -> float:
    """Of a chi-square test; what is expected fewer than five times is one class."""
    total = sum(drawn.values())
    assert set(drawn) <= set(expected)
    common = [key for key, p in expected.items() if p * total >= 5]
    seen, law = [drawn[key] for key in common], [expected[key] * total for key in common]
    seen, law = [*seen, total - sum(seen)], [*law, total - sum(law)]
    if law[-1] < 5:
        seen, law = [*seen[:-2], seen[-2] + seen[-1]], [*law[:-2], law[-2] + law[-1]]
    return float(stats.chisquare(seen, np.array(law) * total / sum(law)).pvalue) if len(law) > 1 else 1.0
