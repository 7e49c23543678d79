"""Earley's parser for the grammars that are not LALR(1): finds a shortest derivation, in bounded time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush

from dimecli.grammar.first import First, Symbols, by_lhs, members
from dimecli.grammar.lr import Stuck, too_long

BUDGET = 1_000_000
"""Items that one sentence may make the parser try: less than a second's work."""

_Item = tuple[int, int, int]
"""A dotted production with where it begins: weight, dot, origin. The weight is the number of productions
in the lightest derivation of what stands before the dot, its own included."""


@dataclass(slots=True)
class _Column:
    """The items that end at one position."""

    weight: dict[tuple[int, int], int] = field(default_factory=dict)
    split: dict[tuple[int, int], int] = field(default_factory=dict)  # where the last child of an item begins
    heap: list[_Item] = field(default_factory=list)  # yet to do
    shifts: dict[int, list[_Item]] = field(default_factory=dict)  # done, before a token
    waiting: dict[int, list[_Item]] = field(default_factory=dict)  # done, before a nonterminal
    best: dict[tuple[int, int], int] = field(default_factory=dict)  # (nonterminal, origin): its production

    def offer(self, weight: int, dot: int, origin: int, split: int) -> None:
        """Takes an item, unless it is known with at most this weight."""
        if weight < self.weight.get((dot, origin), weight + 1):
            self.weight[dot, origin], self.split[dot, origin] = weight, split
            heappush(self.heap, (weight, dot, origin))


@dataclass(slots=True)
class _Chart:
    columns: list[_Column] = field(default_factory=lambda: [_Column()])
    tried: int = 0
    pruned: bool = False


class Earley:
    """Earley's chart (1970), in which nullable nonterminals are passed in one step (Aycock and Horspool, 2002).

    The items of a position are done in the order of their weight (Knuth, 1977): each is done once, with its
    lightest derivation. So the derivation found is a shortest one, and whatever fits into `max_len` is found.

    Args:
        lhs: `(P,)` left-hand sides; nonterminal 0 is the start.
        rhs: Right-hand sides in numbers, see `dimecli.grammar.first`.
        max_len: Productions in the longest derivation.
    """

    def __init__(self, lhs: Sequence[int], rhs: Sequence[Symbols], max_len: int) -> None:
        self.lhs, self.rhs, self.max_len = lhs, rhs, max_len
        nonterminals = max(lhs) + 1
        self.first = First.of(lhs, rhs, nonterminals)
        self.begins = [self.first.begin(right)[0] for right in rhs]
        self.by_lhs = by_lhs(lhs)
        self.empty = _lightest_empty(lhs, rhs)
        self.dots = [0]  # of each production the dot in front
        for right in rhs:
            self.dots.append(self.dots[-1] + len(right) + 1)
        self.behind = [symbol for right in rhs for symbol in (*right, None)]  # the symbol behind each dot
        self.production = [p for p, right in enumerate(rhs) for _ in range(len(right) + 1)]

    def parse(self, tokens: Sequence[int], end: int) -> list[int] | Stuck | str:
        """A shortest leftmost derivation; or the place where the sentence cannot be read on, or another reason.

        Args:
            tokens: Token ids.
            end: The id that stands for the end of the sentence.
        """
        chart = _Chart()
        if not tokens and 0 in self.empty:
            return self._derivation(chart, 0) if self.empty[0][0] <= self.max_len else too_long(self.max_len)
        self._predict(chart.columns[0], 0, [*tokens, end][0], 0)
        for at, token in enumerate(tokens):
            self._fill(chart, token)
            column = _Column()
            for weight, dot, origin in chart.columns[at].shifts.get(token, ()):
                column.offer(weight, dot + 1, origin, at)
            if not column.heap:
                return self._stuck(chart, end)
            chart.columns.append(column)
        self._fill(chart, end)
        return self._derivation(chart, len(tokens)) if (0, 0) in chart.columns[-1].best else self._stuck(chart, end)

    def _fill(self, chart: _Chart, token: int) -> None:
        """Does the items of the last column, which stands before `token`."""
        at, column = len(chart.columns) - 1, chart.columns[-1]
        while column.heap and chart.tried <= BUDGET:
            weight, dot, origin = heappop(column.heap)
            if weight > column.weight[dot, origin]:
                continue  # a lighter one was done
            symbol, split = self.behind[dot], at
            advanced: Sequence[_Item] = ()
            if symbol is None:
                left = self.lhs[self.production[dot]]
                if origin < at and (left, origin) not in column.best:
                    column.best[left, origin] = self.production[dot]
                    advanced, split = chart.columns[origin].waiting[left], origin
            elif symbol >= 0:
                column.shifts.setdefault(symbol, []).append((weight, dot, origin))
            else:
                if ~symbol not in column.waiting:
                    self._predict(column, ~symbol, token, at)
                column.waiting[~symbol].append((weight, dot, origin))
                if ~symbol in self.empty:
                    advanced, weight = [(weight, dot, origin)], self.empty[~symbol][0]
            chart.tried += 1 + len(advanced)
            for before, dot, origin in advanced:
                if before + weight <= self.max_len:
                    column.offer(before + weight, dot + 1, origin, split)
                else:
                    chart.pruned = True

    def _predict(self, column: _Column, nonterminal: int, token: int, at: int) -> None:
        """Starts the productions that can begin with `token`; those of the empty sentence need no items."""
        column.waiting[nonterminal] = []
        for production in self.by_lhs[nonterminal]:
            if self.begins[production] >> token & 1:
                column.offer(1, self.dots[production], at, at)

    def _stuck(self, chart: _Chart, end: int) -> Stuck | str:
        """The last column as the place of failure, unless something was given up before."""
        if chart.tried > BUDGET:
            return f"too ambiguous, or too long: not parsed in {BUDGET:,} steps"
        if chart.pruned:
            return too_long(self.max_len)
        at, column = len(chart.columns) - 1, chart.columns[-1]
        complete = (0, 0) in column.best or (at == 0 and 0 in self.empty)
        mask = (complete << end) | sum(1 << token for token in column.shifts)
        for nonterminal in column.waiting:
            mask |= self.first.first[nonterminal]
        return Stuck(at, tuple(members(mask)))

    def _derivation(self, chart: _Chart, end: int) -> list[int]:
        """The leftmost derivation of the whole sentence: the children of each node from right to left."""
        ids, spans = list[int](), [(0, 0, end)]
        while spans:
            nonterminal, begin, end = spans.pop()
            if begin == end:
                production = self.empty[nonterminal][1]
                spans += [(~symbol, begin, begin) for symbol in reversed(self.rhs[production])]
            else:
                production = chart.columns[end].best[nonterminal, begin]
                for place in reversed(range(len(self.rhs[production]))):
                    symbol, split = self.rhs[production][place], end - 1
                    if symbol < 0:
                        split = chart.columns[end].split[self.dots[production] + place + 1, begin]
                        spans.append((~symbol, split, end))
                    end = split
            ids.append(production)
        return ids


def _lightest_empty(lhs: Sequence[int], rhs: Sequence[Symbols]) -> dict[int, tuple[int, int]]:
    """For each nonterminal that can be empty: how many productions that takes at least, and the first of them."""
    lightest: dict[int, tuple[int, int]] = {}
    changed = True
    while changed:
        changed = False
        for production, (left, right) in enumerate(zip(lhs, rhs, strict=True)):
            if all(symbol < 0 and ~symbol in lightest for symbol in right):
                weight = 1 + sum(lightest[~symbol][0] for symbol in right)
                if left not in lightest or weight < lightest[left][0]:
                    lightest[left], changed = (weight, production), True
    return lightest
