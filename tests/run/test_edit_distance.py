"""Edit distances against the plain dynamic program."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch

from dimecli.run.edit_distance import edit_distances, nearest_rows


def plain(a: Sequence[int], b: Sequence[int]) -> int:
    table = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i in range(len(a) + 1):
        for j in range(len(b) + 1):
            if not (i and j):
                table[i][j] = i + j
            else:
                replaced = table[i - 1][j - 1] + (a[i - 1] != b[j - 1])
                table[i][j] = min(table[i - 1][j] + 1, table[i][j - 1] + 1, replaced)
    return table[-1][-1]


def rows_of(count: int, longest: int, symbols: int, seed: int) -> tuple[torch.Tensor, list[list[int]]]:
    """Random rows of ids, padded with the number of symbols; and the same without padding, some of them empty."""
    rng = np.random.default_rng(seed)
    texts = [rng.integers(0, symbols, rng.integers(0, longest + 1)).tolist() for _ in range(count)]
    rows = torch.full((count, longest), symbols, dtype=torch.int16)
    for row, text in zip(rows, texts, strict=True):
        row[: len(text)] = torch.tensor(text, dtype=torch.int16)
    return rows, texts


@pytest.mark.parametrize(("longest", "symbols"), [(1, 1), (6, 2), (15, 4), (40, 30)])
def test_one_to_many(longest: int, symbols: int) -> None:
    rows, texts = rows_of(30, longest, symbols, longest)
    lengths = np.array([len(text) for text in texts])
    for text in texts[:10]:
        found = edit_distances(np.array(text, dtype=np.int16), rows.T.numpy(), lengths)
        assert found.tolist() == [plain(text, other) for other in texts]


def test_words() -> None:
    def ids(word: str) -> list[int]:
        return [ord(letter) for letter in word]

    columns = np.array([ids("sitting"), ids("kitten."), ids("itten..")], dtype=np.int16).T
    found = edit_distances(np.array(ids("kitten"), dtype=np.int16), columns, np.array([7, 6, 5]))
    assert found.tolist() == [3, 0, 1]


@pytest.mark.parametrize("k", [1, 4])
def test_the_nearest_of_more_than_a_block(k: int) -> None:
    rows, texts = rows_of(1200, 8, 5, 0)
    some, asked = rows_of(12, 10, 5, 1)
    some = torch.cat([some, torch.cat([rows[700], torch.full((2,), 5, dtype=torch.int16)])[None]])  # a copy
    distances, places = nearest_rows(some, rows, 5, k)
    assert distances.shape == places.shape == (13, k)
    for text, found, where in zip([*asked, texts[700]], distances.tolist(), places.tolist(), strict=True):
        every = [plain(text, other) for other in texts]
        assert found == sorted(every)[:k]
        assert found == [every[place] for place in where]
        assert len(set(where)) == k
    assert distances[-1, 0] == 0


def test_what_follows_padding_does_not_count() -> None:
    rows = torch.tensor([[0, 1, 3, 2], [0, 1, 2, 3]])
    distances, places = nearest_rows(torch.tensor([[0, 1, 3, 3]]), rows, 3, 2)
    assert distances.tolist() == [[0, 1]]
    assert places.tolist() == [[0, 1]]
