"""Derivations made from others, as genetic programming does it: each result is a derivation of the grammar.

A subtree of a leftmost derivation is a run of consecutive productions, and any other derivation of the
same nonterminal may stand in its place (Whigham, 1995; Koza, 1992, for trees). With constraints the
nonterminals are those of the grammar that has them, so results obey too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dimecli.grammar.grammar import Grammar
    from dimecli.grammar.sample import By


def mutate(grammar: Grammar, ids: NDArray[np.int16], rng: np.random.Generator, by: By = "pcfg") -> NDArray[np.int16]:
    """`(B, T)` derivations in each of which a subtree, any alike, is replaced by one drawn from the grammar.

    Args:
        grammar: The grammar.
        ids: `(B, T)` complete derivations.
        rng: Source of randomness.
        by: Law of the new subtree, among those that leave the whole within `max_len`; see `Grammar.sample`.
    """
    sizes = subtree_sizes(grammar, ids)
    place = (rng.random(len(ids)) * (sizes > 0).sum(1)).astype(np.int64)
    rows = np.arange(len(ids))
    old = sizes[rows, place]
    most = grammar.max_len - sizes[:, 0] + old
    new = grammar.sampler(by).subtrees(grammar.lhs[ids[rows, place]], most, rng)
    return np.array([_spliced(grammar, *row) for row in zip(ids, place, old, new, strict=True)]).reshape(ids.shape)


def crossover(
    grammar: Grammar, a: NDArray[np.int16], b: NDArray[np.int16], rng: np.random.Generator
) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    """Two times `(B, T)` derivations: row by row a and b with a subtree of the same nonterminal swapped.

    Every pair of such subtrees that leaves both within `max_len` is as likely, but the two wholes, and
    equal subtrees; where there is no other pair, the rows stay as they are.

    Args:
        grammar: The grammar.
        a: `(B, T)` complete derivations.
        b: The same.
        rng: Source of randomness.
    """
    first, second = a.copy(), b.copy()
    for row, sizes in enumerate(zip(subtree_sizes(grammar, a), subtree_sizes(grammar, b), strict=True)):
        pairs = _pairs(grammar, a[row], b[row], *sizes)
        if not len(pairs):
            continue
        i, j = pairs[rng.integers(len(pairs))]
        m, n = sizes[0][i], sizes[1][j]
        first[row] = _spliced(grammar, a[row], i, m, b[row, j : j + n])
        second[row] = _spliced(grammar, b[row], j, n, a[row, i : i + m])
    return first, second


def subtree_sizes(grammar: Grammar, ids: NDArray[np.int16]) -> NDArray[np.int64]:
    """`(B, T)` productions in the subtree that each production is the root of; 0 for the padding."""
    arity = [*map(len, grammar.children)]
    sizes = np.zeros(ids.shape, dtype=np.int64)
    for row, derivation in enumerate(ids.tolist()):
        below: list[int] = []  # sizes of the subtrees after this place that have no parent yet, the nearest last
        for place in reversed(range(derivation.index(grammar.pad) if grammar.pad in derivation else len(derivation))):
            sizes[row, place] = 1 + sum(below.pop() for _ in range(arity[derivation[place]]))
            below.append(sizes[row, place])
    return sizes


def _pairs(
    grammar: Grammar, a: NDArray[np.int16], b: NDArray[np.int16], in_a: NDArray[np.int64], in_b: NDArray[np.int64]
) -> NDArray[np.int64]:
    """`(n, 2)` places of the subtrees that may be swapped, whose sizes are `in_a` and `in_b`."""
    size_a, size_b = in_a[0], in_b[0]
    m, n = in_a[:size_a, None], in_b[None, :size_b]
    lhs = grammar.lhs
    fits = (size_a - m + n <= grammar.max_len) & (size_b - n + m <= grammar.max_len)
    fits &= lhs[a[:size_a, None]] == lhs[b[None, :size_b]]
    fits[0, 0] = False
    return np.argwhere(fits)


def _spliced(grammar: Grammar, ids: NDArray[Any], place: int, size: int, new: NDArray[Any]) -> NDArray[np.int16]:
    """`(T,)` ids with the `size` ones at `place` replaced by those before the padding of `new`."""
    whole = np.concatenate([ids[:place], new[new != grammar.pad], ids[place + size :]])
    spliced = np.full(grammar.max_len, grammar.pad, dtype=np.int16)
    spliced[: min(len(whole), grammar.max_len)] = whole[: grammar.max_len]
    return spliced
