"""Exact, independent samples of derivations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from dimecli.errors import UserError
from dimecli.grammar.inside import LOG, Forests

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dimecli.grammar.grammar import Grammar

By = Literal["pcfg", "uniform", "length"]

CHUNK = 8192
"""Rows drawn at a time: their stacks stay in the cache."""
MOST_OUTCOMES = 2**28
"""In the tables, 16 bytes each, beyond which a grammar is refused."""


class Sampler:
    """Draws derivations of at most `max_len` productions: first a length, then what fills it exactly.

    A state is a forest with the number of productions it shall have. It is split: so many for its head,
    which is a nonterminal, the others for its rest; then the head is rewritten, which leaves the forest
    under the production, one shorter. Both choices have their exact probabilities, to about 1e-10, from the
    inside sums. See McKenzie (1997), "Generating strings at random from a context free grammar".

    Args:
        grammar: What to derive from.
        by: `uniform`: every derivation alike. `length`: every length that occurs alike, within it
            every derivation. `pcfg`: as the weights say, conditioned on the maximum length and the
            constraints.

    Attributes:
        lengths: `(k,)` lengths that derivations can have, ascending.
        length_probs: `(k,)` their probabilities.

    Raises:
        UserError: the weights leave no derivation within the maximum length; or the tables, which grow
            with its square, would be too large.
    """

    def __init__(self, grammar: Grammar, by: By) -> None:
        self.grammar, self.by = grammar, by
        weights = grammar.weights if by == "pcfg" else np.ones(grammar.pad)
        with np.errstate(divide="ignore"):
            self.log_weights = np.log(weights)
        self._forests = Forests(grammar)
        splits = len(self._forests.numbers) - len(grammar.nonterminals) - 1
        if (4 + splits / 2) * (grammar.max_len + 1) ** 2 > MOST_OUTCOMES:  # four at work, half of each is kept
            raise UserError(
                f"{grammar.rules.source}: too large to sample from, with {grammar.pad:,} productions in derivations "
                f"of up to {grammar.max_len:,}; a smaller maximum length makes the tables smaller"
            )
        self._inside = self._forests.inside(self.log_weights, LOG, grammar.max_len)
        log_lengths = self._inside[1 + grammar.start]
        self.lengths = np.flatnonzero(log_lengths > -np.inf)
        if not len(self.lengths):
            raise UserError(f"{grammar.rules.source}: the weights allow no derivation of at most {grammar.max_len}")
        known = log_lengths[self.lengths]
        shares = np.ones(len(known)) if by == "length" else np.exp(known - known.max())
        self.length_probs = shares / shares.sum()
        self._split = _Choices(self._splits())
        self._rewrite = _Choices(self._rewritings())

    def __call__(self, n: int, rng: np.random.Generator) -> NDArray[np.int16]:
        """`(n, T)` ids of independent derivations."""
        return self.of_lengths(rng.choice(self.lengths, size=n, p=self.length_probs), rng)

    def of_lengths(self, lengths: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int16]:
        """`(n, T)` ids of independent derivations of the `(n,)` given lengths.

        Raises:
            ValueError: no derivation has one of the lengths.
        """
        if not np.isin(lengths, self.lengths).all():
            raise ValueError(f"lengths must be among {self.lengths.tolist()}. Got {np.unique(lengths).tolist()}.")
        return self._derivations(np.full(len(lengths), self.grammar.start), lengths, rng)

    def subtrees(
        self, nonterminals: NDArray[np.int64], most: NDArray[np.int64], rng: np.random.Generator
    ) -> NDArray[np.int16]:
        """`(n, T)` ids of independent derivations from `(n,)` nonterminals, of at most `(n,)` productions each.

        Raises:
            ValueError: a nonterminal has no derivation that is so short.
        """
        length = np.arange(self.grammar.max_len + 1)
        log_probs = np.where(length <= most[:, None], self._inside[1 + nonterminals], -np.inf)  # (n, T + 1)
        short = np.flatnonzero(most < self.grammar.min_len[nonterminals])
        if len(short):
            row = short[0]
            raise ValueError(f"most must be at least {self.grammar.min_len[nonterminals[row]]}. Got {most[row]}.")
        if self.by == "length":
            log_probs = np.where(log_probs > -np.inf, 0.0, -np.inf)
        lengths = (log_probs + rng.gumbel(size=log_probs.shape)).argmax(axis=1)
        return self._derivations(nonterminals, lengths, rng)

    def _derivations(
        self, roots: NDArray[np.int64], lengths: NDArray[np.int64], rng: np.random.Generator
    ) -> NDArray[np.int16]:
        """`(n, T)` ids from the `(n,)` nonterminals, of the `(n,)` lengths."""
        ids = np.full((len(lengths), self.grammar.max_len), self.grammar.pad, dtype=np.int16)
        for begin in range(0, len(lengths), CHUNK):
            rows = begin + np.argsort(-lengths[begin : begin + CHUNK], kind="stable")  # those at work come first
            ids[rows] = self._derive(roots[rows], lengths[rows], rng)
        return ids

    def _derive(
        self, roots: NDArray[np.int64], lengths: NDArray[np.int64], rng: np.random.Generator
    ) -> NDArray[np.int16]:
        """`(n, T)` ids from the `(n,)` nonterminals, of the `(n,)` lengths, which descend."""
        everyone = np.arange(len(lengths))
        ids = np.full((len(lengths), self.grammar.max_len), self.grammar.pad, dtype=np.int16)
        stack = np.zeros((len(lengths), self.grammar.max_len + 1), dtype=np.int64)
        stack[:, 0] = self._state(1 + roots, lengths)
        top = np.zeros(len(lengths), dtype=np.int64)
        for step in range(int(lengths.max(initial=0))):
            rows = everyone[: np.searchsorted(-lengths, -step)]
            place = top[: len(rows)]
            head, rest = self._split.draw(stack[rows, place], rng)
            stack[rows, place] = rest
            place += rest > 0
            ids[rows, step], below = self._rewrite.draw(head, rng)
            stack[rows, place] = below
            place -= below == 0
        return ids

    def _state(self, forest: Any, length: Any) -> Any:
        """Number of a forest of that many productions; 0 is the empty one."""
        return forest * (self.grammar.max_len + 1) + length

    def _splits(self) -> list[_Outcomes]:
        """For each forest and length: the length of the head, with the states of head and rest."""
        length = np.arange(self.grammar.max_len + 1)[:, None]
        first = length.T
        left = np.maximum(length - first, 0)
        found = []
        for forest, (head, rest) in enumerate(zip(self._forests.heads, self._forests.rests, strict=True)):
            log_probs = np.where(first <= length, self._inside[head][first] + self._inside[rest][left], -np.inf)
            after = self._state(head, first), self._state(rest, left)
            found.append(_outcomes(self._state(forest, length), log_probs, *after))
        return found[1:]  # the empty forest is not split

    def _rewritings(self) -> list[_Outcomes]:
        """For each nonterminal and length: the production, with the state under it."""
        length = np.arange(1, self.grammar.max_len + 1)[:, None]
        found = []
        for nonterminal, productions in enumerate(self.grammar.by_lhs):
            production = np.array(productions)
            below = self._forests.below[production]
            log_probs = self.log_weights[production] + self._inside[below, length - 1]
            after = production, self._state(below, length - 1)
            found.append(_outcomes(self._state(1 + nonterminal, length), log_probs, *after))
        return found


_Outcomes = tuple["NDArray[np.float64]", "NDArray[np.int32]", "NDArray[np.int32]"]


def _outcomes(
    states: NDArray[Any], log_probs: NDArray[np.float64], first: NDArray[Any], second: NDArray[Any]
) -> _Outcomes:
    """Of the outcomes in a row for each state, those that are possible: their keys and two values."""
    peak = log_probs.max(axis=1, keepdims=True)
    probs = np.exp(log_probs - np.where(peak > -np.inf, peak, 0))
    cumulative = probs.cumsum(axis=1)
    cumulative /= np.where(peak > -np.inf, cumulative[:, -1:], 1)
    possible = probs > 0
    keys, first, second = (a[possible] for a in np.broadcast_arrays(2 * states + cumulative, first, second))
    return keys, first.astype(np.int32), second.astype(np.int32)


class _Choices:
    """A distribution over pairs of values for each state, drawn from by inverting the cumulative one.

    The keys of state s lie in (2s, 2s + 1], so that the distributions of all states are one sorted
    array, and a search for 2s + u with u in [0, 1) ends in those of s whatever the rounding.
    """

    def __init__(self, outcomes: Sequence[_Outcomes]) -> None:
        self.keys, self.first, self.second = (np.concatenate(part) for part in zip(*outcomes, strict=True))

    def draw(self, states: NDArray[np.int64], rng: np.random.Generator) -> tuple[NDArray[Any], NDArray[Any]]:
        """Two `(n,)` values, drawn for each of `(n,)` states."""
        chosen = np.searchsorted(self.keys, 2 * states + rng.random(len(states)))
        return self.first[chosen], self.second[chosen]
