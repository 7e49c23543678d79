"""How many derivations there are, all of them, and how long sentences can be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dimecli.grammar.inside import COUNT, MAXIMUM, Forests

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dimecli.grammar.grammar import Grammar

MOST_ROWS = 2_000_000
"""Derivations that `enumerate_derivations` is willing to hold."""


def count(grammar: Grammar, max_len: int) -> tuple[tuple[int, ...], ...]:
    """`counts[A][n]`: derivations of exactly n productions from nonterminal A, n from 0 to `max_len`; exact."""
    ones = np.array([1] * grammar.pad, dtype=object)
    table = Forests(grammar).inside(ones, COUNT, max_len)
    return tuple(tuple(row) for row in table[1 : 1 + len(grammar.nonterminals)].tolist())


def longest_sentence(grammar: Grammar) -> int:
    """Characters, separators included, of the longest sentence that a derivation within `max_len` gives."""
    between = len(grammar.rules.separator)
    sizes = [sum(len(s) + between for s in production.rhs if isinstance(s, str)) for production in grammar.productions]
    table = Forests(grammar).inside(np.array(sizes, dtype=np.float64), MAXIMUM, grammar.max_len)
    return max(0, int(table[1 + grammar.start].max()) - between)


def enumerate_derivations(grammar: Grammar, length: int) -> NDArray[np.int16]:
    """`(counts[start][length], T)` ids: every derivation of that length, in lexicographic order.

    Raises:
        ValueError: there are more than `MOST_ROWS`, or `length` is not in 0..T.
    """
    if not 0 <= length <= grammar.max_len:
        raise ValueError(f"length must be in 0..{grammar.max_len}. Got {length}.")
    found = grammar.counts[grammar.start][length]
    if found > MOST_ROWS:
        raise ValueError(f"{found:,} derivations of length {length} are too many: at most {MOST_ROWS:,}.")
    return every_derivation(grammar, length)


def every_derivation(grammar: Grammar, length: int) -> NDArray[np.int16]:
    """The same, however many there are.

    Prefixes grow by one production at a time, and only those are kept that can still end at `length`.
    """
    ids = np.full((1, grammar.max_len), grammar.pad, dtype=np.int16)  # the empty prefix
    if not grammar.counts[grammar.start][length]:
        return ids[:0]
    stacks = _Stacks(grammar)
    pending: list[tuple[int, ...]] = [(grammar.start,)]
    state = np.zeros(1, dtype=np.int64)  # which of `pending` each prefix has yet to derive
    for step in range(length):
        choices = [stacks.choices(stack, length - step - 1) for stack in pending]
        sizes = np.array([len(some) for some in choices])
        flat = [choice for some in choices for choice in some]
        times = sizes[state]
        first = np.repeat((np.cumsum(sizes) - sizes)[state] - (np.cumsum(times) - times), times)
        chosen = first + np.arange(len(first))
        ids = np.repeat(ids, times, axis=0)
        ids[:, step] = np.array([production for production, _ in flat], dtype=np.int16)[chosen]
        numbers = {stack: number for number, stack in enumerate(dict.fromkeys(stack for _, stack in flat))}
        state = np.array([numbers[stack] for _, stack in flat], dtype=np.int64)[chosen]
        pending = list(numbers)
    return ids


class _Stacks:
    """Sequences of nonterminals yet to derive, the leftmost first, and the lengths that they can take."""

    def __init__(self, grammar: Grammar) -> None:
        self.grammar = grammar
        self.lengths: dict[tuple[int, ...], int] = {(): 1}  # bit n is set where a total length n is possible

    def choices(self, stack: tuple[int, ...], left: int) -> list[tuple[int, tuple[int, ...]]]:
        """The productions after which exactly `left` more can end the derivation, and the stacks then."""
        after = ((p, self.grammar.children[p] + stack[1:]) for p in self.grammar.by_lhs[stack[0]])
        return [(p, stack) for p, stack in after if self.may_end(stack, left)]

    def may_end(self, stack: tuple[int, ...], left: int) -> bool:
        """Whether exactly `left` productions can derive the whole stack."""
        known = next(k for k in range(len(stack) + 1) if stack[k:] in self.lengths)
        for k in reversed(range(known)):
            rest, lengths = self.lengths[stack[k + 1 :]], 0
            for n, ways in enumerate(self.grammar.counts[stack[k]]):
                lengths |= rest << n if ways else 0
            self.lengths[stack[k:]] = lengths
        return bool(self.lengths[stack] >> left & 1)
