"""The product of a grammar with tree automata, in numbers.

The derivation trees of a context-free grammar that an automaton accepts are again those of a
context-free grammar (Thatcher, 1967): its nonterminals are the pairs (A, q) of a nonterminal and a
state, and a production A -> B C becomes one (A, q) -> (B, r) (C, s) for each way (r, s) from q.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dimecli.grammar.directives import Count, Nesting
from dimecli.grammar.lengths import shortest

MOST_PRODUCTIONS = 20_000
"""A grammar that constraints would make larger is refused."""


@dataclass
class Product:
    """A grammar in numbers; its nonterminals and productions are copies of those of another.

    Args:
        symbol: For each nonterminal, the one that it is a copy of; number 0 is the start.
        lhs: For each production its left-hand side.
        origin: For each production the one that it is a copy of.
        children: For each production the nonterminals on its right-hand side.
    """

    symbol: list[int] = field(default_factory=list)
    lhs: list[int] = field(default_factory=list)
    origin: list[int] = field(default_factory=list)
    children: list[tuple[int, ...]] = field(default_factory=list)

    def intersect(self, condition: Nesting | Count) -> Product:
        """The product with an automaton; no further than one production beyond `MOST_PRODUCTIONS`."""
        able = self._able(condition.uses)
        by_lhs: list[list[int]] = [[] for _ in self.symbol]
        for production, lhs in enumerate(self.lhs):
            by_lhs[lhs].append(production)
        pairs: list[tuple[int, Any]] = [(0, condition.start)]
        numbers = {pairs[0]: 0}
        product = Product()
        for number, (symbol, state) in enumerate(pairs):  # grows meanwhile
            product.symbol.append(self.symbol[symbol])
            for production in by_lhs[symbol]:
                for below in self._ways(condition, state, production, able):
                    for pair in below:
                        if pair not in numbers:
                            numbers[pair] = len(pairs)
                            pairs.append(pair)
                    product.lhs.append(number)
                    product.origin.append(self.origin[production])
                    product.children.append(tuple(numbers[pair] for pair in below))
                    if len(product.lhs) > MOST_PRODUCTIONS:
                        return product
        return product

    def _able(self, uses: Sequence[int]) -> set[int]:
        """The nonterminals from which a symbol derives that productions of the original use so often."""
        parents: list[list[int]] = [[] for _ in self.symbol]
        for lhs, children in zip(self.lhs, self.children, strict=True):
            for child in children:
                parents[child].append(lhs)
        todo = [lhs for lhs, origin in zip(self.lhs, self.origin, strict=True) if uses[origin]]
        able = set(todo)
        while todo:
            new = set(parents[todo.pop()]) - able
            able |= new
            todo += new
        return able

    def _ways(
        self, condition: Nesting | Count, state: Any, production: int, able: set[int]
    ) -> Iterator[list[tuple[int, Any]]]:
        """The children with their states, in every way; those that can not break the condition have state None."""
        children = self.children[production]
        if state is None:
            yield [(child, None) for child in children]
            return
        for states in condition.split(state, self.origin[production], sum(child in able for child in children)):
            left = iter(states)
            yield [(child, next(left) if child in able else None) for child in children]

    def trim(self, max_len: int) -> Product:
        """Without what no derivation of at most `max_len` productions uses."""
        lhs = np.array(self.lhs, dtype=np.int64)
        inside = shortest(lhs, self.children, len(self.symbol))
        whole = 1 + np.array([sum(int(inside[child]) for child in below) for below in self.children], dtype=np.int64)
        edges = [(parent, child) for parent, below in enumerate(self.children) for child in below]
        parent, child = np.array(edges, dtype=np.int64).reshape(-1, 2).T
        outside = np.full(len(self.symbol), max_len)  # too far, whatever follows
        outside[0] = 0
        while True:
            before = outside.copy()
            np.minimum.at(outside, child, (outside[lhs] + whole)[parent] - inside[child])
            if np.array_equal(before, outside):
                break
        kept = np.flatnonzero(outside[lhs] + whole <= max_len).tolist()
        number = {symbol: new for new, symbol in enumerate(sorted({self.lhs[old] for old in kept}))}
        return Product(
            [self.symbol[old] for old in number],
            [number[self.lhs[old]] for old in kept],
            [self.origin[old] for old in kept],
            [tuple(number[child] for child in self.children[old]) for old in kept],
        )
