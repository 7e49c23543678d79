"""The LALR(1) tables of a grammar, if it has them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dimecli.grammar.first import First, Symbols, by_lhs, members

ERROR, ACCEPT, SHIFT, REDUCE = range(4)
"""Actions; production p is reduced by the action REDUCE + p."""

MOST_ITEMS, MOST_CELLS = 300_000, 2**24
"""Items in all states together and cells of a table, beyond which there is none: a second's work, 64 MiB."""


class ParseTables(NamedTuple):
    """What to do in each of the states; V tokens, N nonterminals.

    Token V stands for the end of a sentence and V + 1 for what is no token.
    """

    action: NDArray[np.int32]  # (states, V + 2): before a token
    goto: NDArray[np.int32]  # (states, V + 2 + N): the state behind a token or nonterminal


def lalr_tables(lhs: Sequence[int], rhs: Sequence[Symbols], tokens: int) -> ParseTables | None:
    """The tables of the productions `lhs[p] -> rhs[p]`; None if the grammar is not LALR(1), or too large.

    Nonterminal 0 is the start; of right-hand sides see `dimecli.grammar.first`.
    """
    count = start = max(lhs) + 1
    lhs, rhs = [*lhs, start], [*rhs, (~0,)]
    states = _States(rhs, by_lhs(lhs))
    if not states.explore(len(lhs) - 1) or len(states.goto) * (tokens + count) > MOST_CELLS:
        return None
    action = np.zeros((len(states.goto), tokens + 2), np.int32)
    goto = np.zeros((len(states.goto), tokens + 2 + count), np.int32)
    for state, moves in enumerate(states.goto):
        for symbol, target in moves.items():
            goto[state, symbol if symbol >= 0 else tokens + 2 + ~symbol] = target
    action[goto[:, : tokens + 2] > 0] = SHIFT
    ahead = lookaheads(states, First.of(lhs, rhs, count + 1), start, tokens)
    for (state, production), mask in ahead.items():
        before = members(mask)
        if action[state, before].any():
            return None
        action[state, before] = ACCEPT if production == len(lhs) - 1 else REDUCE + production
    return ParseTables(action, goto)


@dataclass
class _States:
    """The LR(0) automaton: states are sets of items (production, dot)."""

    rhs: Sequence[Symbols]
    by_lhs: Sequence[Sequence[int]]
    kernels: dict[frozenset[tuple[int, int]], int] = field(default_factory=dict)
    goto: list[dict[int, int]] = field(default_factory=list)

    def explore(self, start: int) -> bool:
        """Finds all states that production `start` leads to, from state 0; False if they have too many items."""
        todo = [frozenset({(start, 0)})]
        self.kernels[todo[0]] = 0
        total = 0
        for kernel in todo:  # grows
            items = self.closure(kernel)
            total += len(items)
            if total > MOST_ITEMS:
                return False
            moves: dict[int, set[tuple[int, int]]] = {}
            for production, dot in items:
                if dot < len(self.rhs[production]):
                    moves.setdefault(self.rhs[production][dot], set()).add((production, dot + 1))
            self.goto.append({})
            for symbol, advanced in moves.items():
                target = frozenset(advanced)
                if target not in self.kernels:
                    self.kernels[target] = len(todo)
                    todo.append(target)
                self.goto[-1][symbol] = self.kernels[target]
        return True

    def closure(self, kernel: frozenset[tuple[int, int]]) -> list[tuple[int, int]]:
        items, seen = sorted(kernel), set[int]()
        for production, dot in items:  # grows
            right = self.rhs[production]
            if dot < len(right) and right[dot] < 0 and right[dot] not in seen:
                seen.add(right[dot])
                items += [(below, 0) for below in self.by_lhs[~right[dot]]]
        return items

    def walk(self, state: int, symbols: Symbols) -> list[int]:
        """The states before each of the symbols and behind the last one."""
        path = [state]
        for symbol in symbols:
            path.append(self.goto[path[-1]][symbol])
        return path


def lookaheads(states: _States, first: First, start: int, end: int) -> dict[tuple[int, int], int]:
    """For each reduction, (state, production), the set of tokens before which it is made.

    FOLLOW sets of the transitions by nonterminals (DeRemer and Pennello, 1982), solved by iteration.
    """
    follow = {(0, start): 1 << end}
    includes: dict[tuple[int, int], list[tuple[int, int]]] = {}  # what FOLLOW of the key is part of
    found: dict[tuple[int, int], list[tuple[int, int]]] = {}
    transitions = [(0, start), *((state, ~s) for state, moves in enumerate(states.goto) for s in moves if s < 0)]
    for state, left in transitions:
        for production in states.by_lhs[left]:
            right = states.rhs[production]
            path = states.walk(state, right)
            found.setdefault((path[-1], production), []).append((state, left))
            for place, symbol in enumerate(right):
                if symbol < 0:
                    mask, empty = first.begin(right[place + 1 :])
                    below = (path[place], ~symbol)
                    follow[below] = follow.get(below, 0) | mask
                    if empty:
                        includes.setdefault((state, left), []).append(below)
    growing = True
    while growing:
        growing = False
        for above, belows in includes.items():
            for below in belows:
                if follow[above] & ~follow[below]:
                    follow[below] |= follow[above]
                    growing = True
    union = {}
    for reduction, above_all in found.items():
        union[reduction] = 0
        for above in above_all:
            union[reduction] |= follow[above]
    return union
