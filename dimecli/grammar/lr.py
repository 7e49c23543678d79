"""An LR automaton that parses a batch of sentences in lock step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dimecli.grammar.first import Symbols
from dimecli.grammar.lalr import ACCEPT, ERROR, REDUCE, ParseTables

Rows = NDArray[np.int64]
CELLS = 2**18  # of the stacks of the sentences that run together: the arrays of a step stay in the cache


class Stuck(NamedTuple):
    """Where a sentence cannot be read on: the index of the token, and the tokens that could stand there."""

    at: int
    expected: tuple[int, ...]


def too_long(max_len: int) -> str:
    """The reason if every derivation of a sentence has more than `max_len` productions."""
    return f"no derivation of at most {max_len} productions"


class Automaton:
    """Shifts and reduces as the tables of a grammar say.

    Args:
        tables: The actions, one for each state and token.
        lhs: `(P,)` left-hand sides.
        rhs: Right-hand sides, see `dimecli.grammar.first`.
    """

    def __init__(self, tables: ParseTables, lhs: Sequence[int], rhs: Sequence[Symbols]) -> None:
        self.action, self.goto = tables
        width = self.action.shape[1]
        self._symbol = np.array([0] * REDUCE + [width + left for left in lhs])
        self._popped = np.array([0] * REDUCE + [len(right) for right in rhs])

    def parse(
        self, sentences: Sequence[Sequence[int]], max_len: int
    ) -> tuple[NDArray[np.int16], dict[int, Stuck | str]]:
        """`(n, T)` ids of the leftmost derivations of n rows of tokens, and the failures by row."""
        pad = len(self._popped) - REDUCE
        ids = np.full((len(sentences), max_len), pad, np.int16)
        failures: dict[int, Stuck | str] = {}
        together = max(1, CELLS // (max_len + max(map(len, sentences), default=0)))
        for begin in range(0, len(sentences), together):
            chunk = sentences[begin : begin + together]
            reductions, starts, counts, failed = self._run(_padded(chunk, self.action.shape[1] - 2), max_len)
            ids[begin : begin + together] = preorder(reductions, starts, counts, pad)
            for row, at in failed.items():
                failures[begin + row] = too_long(max_len) if at is None else Stuck(at, self._expected(chunk[row][:at]))
                ids[begin + row] = pad
        return ids, failures

    def _run(
        self, tokens: NDArray[np.int64], limit: int
    ) -> tuple[Rows, Rows, NDArray[np.int64], dict[int, int | None]]:
        """Every row one step at a time: shift, reduce, accept or fail.

        Returns:
            `(n, limit + 1)` productions as they are reduced (of an accepted row: its tree in postorder),
            and how many were reduced before the subtree of each began; `(n,)` how many there are; and for
            each row that failed the index of the token, None at more than `limit` reductions.
        """
        n, length = tokens.shape
        depth = length + limit + 1
        states, begun = np.zeros((2, n, depth), np.int64)
        reductions, starts = np.zeros((2, n, limit + 1), np.int64)
        counts, failed = np.zeros(n, np.int64), dict[int, int | None]()
        rows = np.arange(n)
        state, top, at, count = np.zeros((4, n), np.int64)
        while len(rows):
            token = tokens[rows, at]
            action = self.action[state, token]
            over = (action >= REDUCE) & (count == limit)
            going = (action > ACCEPT) & ~over
            if not going.all():
                counts[rows] = count
                for index in np.flatnonzero((action == ERROR) | over).tolist():
                    failed[int(rows[index])] = None if over[index] else int(at[index])
                rows, top, at, count = rows[going], top[going], at[going], count[going]
                token, action = token[going], action[going]
            reduces = action >= REDUCE
            popped = self._popped[action]
            under = top - popped
            top = under + 1
            begin = np.where(popped > 0, begun[rows, top], count)
            state = self.goto[states[rows, under], np.where(reduces, self._symbol[action], token)]
            states[rows, top], begun[rows, top] = state, begin
            reductions[rows, count], starts[rows, count] = action - REDUCE, begin  # of a shift: overwritten
            count = count + reduces
            at = at + ~reduces
        return reductions, starts, counts, failed

    def _expected(self, prefix: Sequence[int]) -> tuple[int, ...]:
        """The tokens that can stand behind the beginning of a sentence.

        Lookaheads alone do not say: LALR(1) merges those of different contexts.
        """
        stack = [0]
        for token in prefix:
            self._advance(stack, token)
        candidates = np.flatnonzero(self.action[stack[-1]]).tolist()
        return tuple(token for token in candidates if self._advance(stack.copy(), token))

    def _advance(self, stack: list[int], token: int) -> bool:
        """Reduces before a token and shifts it, if it can stand there."""
        while (action := int(self.action[stack[-1], token])) >= REDUCE:
            del stack[len(stack) - self._popped[action] :]
            stack.append(int(self.goto[stack[-1], self._symbol[action]]))
        stack.append(int(self.goto[stack[-1], token]))
        return action != ERROR


def preorder(reductions: Rows, starts: Rows, counts: NDArray[np.int64], pad: int) -> NDArray[np.int16]:
    """`(n, T)` leftmost derivations from trees in postorder, `(n, T + 1)`.

    Before a node stand its ancestors and what lies left of it, which ended before it began. The
    ancestors of node v are the nodes u > v that began at v or before.
    """
    n, width = reductions.shape
    row, node = np.nonzero(np.arange(width) < counts[:, None])
    start = starts[row, node]
    change = np.zeros((n, width), np.int64)  # of the depth, from one node to the next
    np.add.at(change, (row, start), 1)
    np.add.at(change, (row, node), -1)
    depth = change.cumsum(axis=1)[row, node]
    ids = np.full((n, width - 1), pad, np.int16)
    ids[row, start + depth] = reductions[row, node]
    return ids


def _padded(sentences: Sequence[Sequence[int]], end: int) -> NDArray[np.int64]:
    """Rows of tokens as an array, each followed by at least one `end`."""
    lengths = np.array([len(sentence) for sentence in sentences])
    tokens = np.full((len(sentences), int(lengths.max()) + 1), end)
    tokens[np.arange(tokens.shape[1]) < lengths[:, None]] = [token for sentence in sentences for token in sentence]
    return tokens
