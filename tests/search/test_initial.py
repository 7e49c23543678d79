"""What a search starts from."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import settings as how
from hypothesis import strategies as st

from dimecli.search.initial import choose, pool_size

UTILITIES = st.lists(st.sampled_from([-math.inf, -2.0, -1.0, 0.0, 0.5, 3.0]), min_size=1, max_size=30)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@given(UTILITIES, st.integers(0, 40), st.integers(0, 3))
@how(derandomize=True, deadline=None)
def test_half_takes_a_fifth_from_the_top_of_the_worse_half(values: list[float], n: int, seed: int) -> None:
    rows = choose(torch.tensor(values, dtype=torch.float64), n, "half", rng(seed))
    worse = sorted(values)[: (len(values) + 1) // 2]
    assert len(rows) == len(set(rows)) == min(n, len(worse), pool_size(len(values), "half"))
    chosen = [values[row] for row in rows]
    assert max(chosen, default=-math.inf) <= worse[-1]
    assert chosen[: n // 5] == worse[::-1][: n // 5], "its best"


def test_the_others_of_half_are_any_of_what_remains() -> None:
    utilities = torch.arange(20.0)
    drawn = [choose(utilities, 9, "half", rng(seed)) for seed in range(100)]
    assert {rows[0] for rows in drawn} == {9}
    assert {rows[1] for rows in drawn} == set(range(9)), "a fifth of nine is one"
    assert all(len(set(rows)) == len(rows) == 9 for rows in drawn)


@given(UTILITIES, st.integers(0, 40))
@how(derandomize=True, deadline=None)
def test_the_best_and_the_worst(values: list[float], n: int) -> None:
    utilities = torch.tensor(values, dtype=torch.float64)
    assert [values[row] for row in choose(utilities, n, "best", rng())] == sorted(values, reverse=True)[:n]
    assert [values[row] for row in choose(utilities, n, "worst", rng())] == sorted(values)[:n]


@pytest.mark.parametrize("n", [0, 3, 10, 11])
def test_at_random_every_one_alike(n: int) -> None:
    counts = torch.zeros(10)
    for seed in range(400):
        rows = choose(torch.zeros(10), n, "random", rng(seed))
        assert len(rows) == len(set(rows)) == min(n, 10)
        counts[rows] += 1
    share = min(n, 10) / 10
    assert (counts / 400 - share).abs().max() <= 4 * (share * (1 - share) / 400) ** 0.5
