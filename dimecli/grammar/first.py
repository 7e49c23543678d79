"""Which tokens a symbol can begin with, and whether it can be empty."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

Symbols = tuple[int, ...]
"""A right-hand side in numbers: token t is t, nonterminal A is ~A (negative)."""


@dataclass(frozen=True)
class First:
    """FIRST sets and nullability (Aho, Sethi and Ullman, 1986, section 4.4). Sets of tokens are bit masks."""

    nullable: Sequence[bool]
    first: Sequence[int]

    @staticmethod
    def of(lhs: Sequence[int], rhs: Sequence[Symbols], nonterminals: int) -> First:
        """The sets of the nonterminals 0 .. N-1 under the productions `lhs[p] -> rhs[p]`."""
        nullable, first = [False] * nonterminals, [0] * nonterminals
        growing, changed = First(nullable, first), True
        rules = list(zip(lhs, rhs, strict=True))
        while changed:
            changed = False
            rules.reverse()  # long chains of productions take one pass in one of the two directions
            for left, right in rules:
                mask, empty = growing.begin(right)
                if mask & ~first[left] or empty > nullable[left]:
                    first[left], nullable[left], changed = first[left] | mask, nullable[left] or empty, True
        return First(tuple(nullable), tuple(first))

    def begin(self, symbols: Iterable[int]) -> tuple[int, bool]:
        """The tokens that a row of symbols can begin with, and whether all of it can be empty."""
        mask = 0
        for symbol in symbols:
            if symbol >= 0:
                return mask | 1 << symbol, False
            mask |= self.first[~symbol]
            if not self.nullable[~symbol]:
                return mask, False
        return mask, True


def members(mask: int) -> list[int]:
    """The tokens of a set, in ascending order."""
    bits = np.unpackbits(
        np.frombuffer(mask.to_bytes(mask.bit_length() // 8 + 1, "little"), np.uint8), bitorder="little"
    )
    return np.flatnonzero(bits).tolist()


def by_lhs(lhs: Sequence[int]) -> list[list[int]]:
    """For each nonterminal 0 .. N-1 its productions."""
    productions: list[list[int]] = [[] for _ in range(max(lhs) + 1)]
    for production, left in enumerate(lhs):
        productions[left].append(production)
    return productions
