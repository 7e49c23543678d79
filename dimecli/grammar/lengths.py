"""How short derivations can be, and how long a grammar lets them be that does not say so."""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dimecli.grammar.grammar import Grammar

NEVER = 2**40
"""The length where there is no derivation."""
ENOUGH = 100_000
"""Derivations after which the default maximum length stops to grow."""
LONGEST_DEFAULT = 100
"""Productions to which the default maximum length may grow."""


def shortest(lhs: NDArray[np.int64], children: Sequence[Sequence[int]], nonterminals: int) -> NDArray[np.int64]:
    """`(N,)` productions in the shortest derivation from each nonterminal; 2^40 where there is none.

    Knuth's generalisation of Dijkstra's algorithm (1977): nonterminals are settled in the order of
    their lengths, and a production is worth looking at when all of its children are.
    """
    lengths = np.full(nonterminals, NEVER)
    used_by: list[list[int]] = [[] for _ in range(nonterminals)]
    for production, below in enumerate(children):
        for child in below:
            used_by[child].append(production)
    unsettled = [len(below) for below in children]
    total = [1] * len(children)
    queue = [(1, int(lhs[production])) for production, below in enumerate(children) if not below]
    heapq.heapify(queue)
    while queue:
        length, nonterminal = heapq.heappop(queue)
        if lengths[nonterminal] < NEVER:
            continue
        lengths[nonterminal] = length
        for production in used_by[nonterminal]:
            unsettled[production] -= 1
            total[production] = min(total[production] + length, NEVER - 1)  # lengths can grow exponentially
            if not unsettled[production]:
                heapq.heappush(queue, (total[production], int(lhs[production])))
    return lengths


def shortest_with(grammar: Grammar) -> Sequence[int]:
    """For each of the P productions the length of the shortest derivation that it occurs in."""
    min_len, owed = grammar.min_len.tolist(), grammar.owed.tolist()
    outside: dict[int, int] = {}  # productions around a nonterminal, by Dijkstra's algorithm
    queue = [(0, grammar.start)]
    while queue:
        around, nonterminal = heapq.heappop(queue)
        if nonterminal in outside:
            continue
        outside[nonterminal] = around
        for production in grammar.by_lhs[nonterminal]:
            for child in grammar.children[production]:
                heapq.heappush(queue, (around + 1 + owed[production] - min_len[child], child))
    return [outside[int(lhs)] + 1 + least for lhs, least in zip(grammar.lhs, owed, strict=True)]


def default_max_len(grammar: Grammar) -> tuple[int, int]:
    """A maximum length, and how many derivations there are up to it, which is rounded where they are many.

    The smallest that lets every production occur and allows `ENOUGH` derivations, or all that there are;
    but at most `LONGEST_DEFAULT`, unless the shortest sentence is longer.
    """
    from dimecli.grammar.inside import LOG, Forests

    forests = Forests(grammar)
    most = max(int(grammar.min_len[grammar.start]), LONGEST_DEFAULT)
    limit = least = min(max(shortest_with(grammar)), most)
    while True:
        limit = min(2 * limit, most)
        logs = forests.inside(np.zeros(grammar.pad), LOG, limit)[1 + grammar.start]
        totals = np.exp(np.logaddexp.accumulate(logs).clip(max=2 * math.log(ENOUGH))).round()
        if totals[-1] >= ENOUGH or limit == most:
            length = max(least, int(np.searchsorted(totals, min(ENOUGH, totals[-1]))))
            return length, int(totals[length])
