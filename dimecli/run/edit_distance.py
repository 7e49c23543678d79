"""How many symbols differ: Levenshtein's distance between rows of ids, one to many at a time."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

_BLOCK = 512  # rows that are compared before it is asked whether the rest can be nearer


def edit_distances(row: NDArray[np.int16], rows: NDArray[np.int16], lengths: NDArray[np.int64]) -> NDArray[np.int16]:
    """`(N,)` least numbers of insertions, deletions and replacements that turn one row into each of N others.

    The dynamic program of Wagner and Fischer (1974), a symbol of `row` at a time, for all N together. What
    insertions add along a row of its table is a running minimum: `min_j (best_j + i - j)` over `j <= i`.

    Args:
        row: `(L,)` ids.
        rows: `(T, N)` ids, a column for each of the N.
        lengths: `(N,)`: how many ids of each column count.
    """
    places = np.arange(len(rows) + 1, dtype=np.int16)[:, None]
    table = np.broadcast_to(places, (len(rows) + 1, len(lengths)))  # from nothing to the first ids of each
    for symbol in row:
        best = table + np.int16(1)  # delete the symbol
        np.minimum(best[1:], table[:-1] + (rows != symbol), out=best[1:])  # keep or replace it
        table = np.minimum.accumulate(best - places, axis=0) + places
    distances: NDArray[np.int16] = np.take_along_axis(table, lengths[None], 0)[0]
    return distances


def nearest_rows(x: torch.Tensor, rows: torch.Tensor, pad: int, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    """`(n, k)` edit distances of `(n, T)` ids to the k nearest of `(N, T)` others, and the places of these.

    Ids from a row's first padding on do not count. Rows are compared in the order of a bound below their
    distance, the symbols that one has more often than the other, until no other can be nearer.
    """
    symbols, lengths = _counts(rows, pad), _lengths(rows, pad)
    columns, sizes = np.ascontiguousarray(rows[:, : int(lengths.max())].T.numpy().astype(np.int16)), lengths.numpy()
    found = []
    for row, counts, length in zip(x, _counts(x, pad), _lengths(x, pad), strict=True):
        different = (symbols - counts).abs().sum(1)
        bounds, order = ((different + (lengths - length).abs()) // 2).sort(stable=True)
        distances, places = torch.empty(0, dtype=torch.int16), order[:0]
        for block in range(0, len(order), _BLOCK):
            if block >= k and bounds[block] >= distances[-1]:
                break
            chosen = order[block : block + _BLOCK]
            some = sizes[chosen.numpy()]
            among = edit_distances(row[:length].numpy(), columns[: some.max(), chosen.numpy()], some)
            distances, kept = torch.cat([distances, torch.from_numpy(among)]).sort(stable=True)
            distances, places = distances[:k], torch.cat([places, chosen])[kept[:k]]
        found.append((distances, places))
    distances, places = (torch.stack(part) for part in zip(*found, strict=True))
    return distances.float(), places


def _lengths(rows: torch.Tensor, pad: int) -> torch.Tensor:
    """`(N,)`: the ids of each row before its first padding."""
    return ((rows == pad).cumsum(1) == 0).sum(1)


def _counts(rows: torch.Tensor, pad: int) -> torch.Tensor:
    """`(N, pad)`: how often each symbol occurs in each row before its first padding."""
    counted = (rows == pad).cumsum(1) == 0
    counts = torch.zeros(len(rows), pad + 1, dtype=torch.int32)
    return counts.scatter_add_(1, rows.long(), counted.int())[:, :pad]
