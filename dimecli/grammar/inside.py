"""Sums over all derivations of a length: the inside algorithm, over any semiring (Goodman, 1999)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dimecli.grammar.grammar import Grammar


@dataclass(frozen=True)
class Semiring:
    """What "sum over derivations of the product of their weights" means."""

    plus: np.ufunc
    times: np.ufunc
    zero: Any
    one: Any


COUNT = Semiring(np.add, np.multiply, 0, 1)
"""Over objects: exact integers."""
LOG = Semiring(np.logaddexp, np.add, -np.inf, 0.0)
"""Logarithms of sums of products: nothing overflows, nothing vanishes."""
MAXIMUM = Semiring(np.maximum, np.add, -np.inf, 0.0)
"""The largest sum of weights."""


@dataclass(frozen=True)
class Forests:
    """The sequences of nonterminals that a right-hand side, or what is left of one, derives from.

    Number 0 is the empty forest, number 1 + A the nonterminal A alone; every longer one is a head, which
    is a nonterminal alone, and a rest. Suffixes are shared between productions. F forests in all.
    """

    grammar: Grammar

    @cached_property
    def numbers(self) -> dict[tuple[int, ...], int]:
        """The number of each forest."""
        alone = ((nonterminal,) for nonterminal in range(len(self.grammar.nonterminals)))
        suffixes = (children[k:] for children in self.grammar.children for k in range(len(children) - 1))
        return {forest: number for number, forest in enumerate(dict.fromkeys([(), *alone, *suffixes]))}

    @cached_property
    def below(self) -> NDArray[np.int64]:
        """`(P,)` forest under each production."""
        return np.array([self.numbers[children] for children in self.grammar.children])

    @cached_property
    def heads(self) -> NDArray[np.int64]:
        """`(F,)` heads; the empty forest is its own."""
        return np.array([self.numbers[forest[:1]] for forest in self.numbers])

    @cached_property
    def rests(self) -> NDArray[np.int64]:
        """`(F,)` rests."""
        return np.array([self.numbers[forest[1:]] for forest in self.numbers])

    def inside(self, weights: NDArray[Any], semiring: Semiring, max_len: int) -> NDArray[Any]:
        """`(F, max_len + 1)` sums over the derivations of n productions from each forest, n from 0.

        Args:
            weights: `(P,)` weight of each production; that of a derivation is their product.
            semiring: What sum and product are.
            max_len: The largest n.
        """
        plus, times = semiring.plus, semiring.times
        longer = slice(1 + len(self.grammar.nonterminals), None)
        heads, rests = self.heads[longer], self.rests[longer]
        order = np.argsort(self.grammar.lhs, kind="stable")
        groups = np.flatnonzero(np.diff(self.grammar.lhs[order], prepend=-1))
        table = np.full((len(self.numbers), max_len + 1), semiring.zero, dtype=weights.dtype)
        table[0, 0] = semiring.one
        for n in range(1, max_len + 1):
            rewritten = times(weights, table[self.below, n - 1])  # (P,)
            table[1 : longer.start, n] = plus.reduceat(rewritten[order], groups)
            splits = times(table[heads, 1:n], table[rests, n - 1 : 0 : -1])  # (longer forests, n - 1)
            table[longer, n] = plus.reduce(splits, axis=1, initial=semiring.zero)
        return table
