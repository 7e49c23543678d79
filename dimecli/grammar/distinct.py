"""Samples of different derivations: without replacement."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from dimecli.errors import UserError
from dimecli.grammar.count import every_derivation
from dimecli.grammar.sample import By, Sampler

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dimecli.grammar.grammar import Grammar

FEW = 4
"""Derivations for each one asked for, up to which they are enumerated: drawing would repeat too many."""
MOST_DRAWS = 100
"""Draws for each derivation asked for, and for a thousand more, after which `sample_distinct` gives up."""


def sample_distinct(grammar: Grammar, n: int, rng: np.random.Generator, by: By = "length") -> NDArray[np.int16]:
    """`(m, T)` ids of different derivations, in random order; m < n only where there are no more.

    `uniform` and `pcfg`: one after another without replacement, each as the weights say among those that
    are left. `length`: every length gives the same number; a length that has fewer derivations gives them
    all, and the longer ones share what it cannot give. Within a length every subset is alike.

    Raises:
        UserError: the weights give so few derivations nearly everything that n different ones do not come up.
    """
    sampler = grammar.sampler(by)
    counts = [grammar.counts[grammar.start][length] for length in sampler.lengths]
    if by == "length":
        return _distinct_by_length(sampler, counts, n, rng)
    if sum(counts) <= max(FEW * n, 10_000):
        return _ranked(sampler, sampler.lengths, n, rng)
    seen: dict[bytes, None] = {}
    drawn = 0
    while len(seen) < n:
        if drawn > MOST_DRAWS * (n + 1000):
            raise UserError(
                f"{grammar.rules.source}: {drawn} draws gave {len(seen)} different derivations of the {n} asked for; "
                "ask for fewer, or sample by length"
            )
        rows = sampler(n - len(seen) + 1000, rng)
        drawn += len(rows)
        _add(seen, rows)
    return _rows(grammar, seen)[:n]


def equal_shares(counts: Sequence[int], n: int) -> list[int]:
    """A share of n for each count: none above its count, and as equal as that allows."""
    shares, left = [0] * len(counts), min(n, sum(counts))
    for done, index in enumerate(sorted(range(len(counts)), key=counts.__getitem__)):
        shares[index] = min(counts[index], left // (len(counts) - done))
        left -= shares[index]
    return shares


def _distinct_by_length(sampler: Sampler, counts: Sequence[int], n: int, rng: np.random.Generator) -> NDArray[np.int16]:
    """Different derivations, in equal shares of all lengths; draws that repeat one are drawn again."""
    shares = np.array(equal_shares(counts, n))
    few = np.array([count <= FEW * share for count, share in zip(counts, shares.tolist(), strict=True)])
    parts = [_ranked(sampler, sampler.lengths[[k]], shares[k], rng) for k in np.flatnonzero(few)]
    wanted = np.repeat(sampler.lengths[~few], shares[~few])
    seen: dict[bytes, None] = {}
    while len(wanted):
        wanted = wanted[~_add(seen, sampler.of_lengths(wanted, rng))]
    return rng.permutation(np.concatenate([*parts, _rows(sampler.grammar, seen)]))


def _ranked(sampler: Sampler, lengths: NDArray[np.int64], n: int, rng: np.random.Generator) -> NDArray[np.int16]:
    """Up to n different derivations of these lengths, of which there are few: drawn without replacement.

    Log-probabilities with Gumbel noise are in the order of such draws (Yellott, 1977).
    """
    every = np.concatenate([every_derivation(sampler.grammar, length) for length in lengths.tolist()])
    log_probs = np.append(sampler.log_weights, 0)[every].sum(1)
    return every[np.argsort(-log_probs - rng.gumbel(size=len(every)))[:n]]


def _add(seen: dict[bytes, None], rows: NDArray[np.int16]) -> NDArray[np.bool_]:
    """Add the rows; `(n,)`: which of them are new."""
    new = np.zeros(len(rows), dtype=bool)
    for index, row in enumerate(rows):
        key = row.tobytes()
        new[index] = key not in seen
        seen[key] = None
    return new


def _rows(grammar: Grammar, seen: dict[bytes, None]) -> NDArray[np.int16]:
    return np.frombuffer(bytearray().join(seen), dtype=np.int16).reshape(len(seen), grammar.max_len)
