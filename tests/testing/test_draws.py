"""Two processes draw the rows of what one draws."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from dimecli.testing.draws import RowsOfOne

DRAWS: dict[str, Callable[[int, torch.Generator], torch.Tensor]] = {
    "randn by numbers": lambda rows, rng: torch.randn(rows, 3, generator=rng),
    "randn by a shape": lambda rows, rng: torch.randn((rows, 3), generator=rng, dtype=torch.float64),
    "randn by size": lambda rows, rng: torch.randn(size=(rows, 3), generator=rng),
    "rand": lambda rows, rng: torch.rand(torch.Size([rows]), generator=rng),
    "randint below": lambda rows, rng: torch.randint(1000, (rows, 3), generator=rng),
    "randint between": lambda rows, rng: torch.randint(5, 1000, (rows,), generator=rng, dtype=torch.int16),
}


def drawn(draw: Callable[[int, torch.Generator], torch.Tensor], world: int, rank: int) -> list[torch.Tensor]:
    rng = torch.Generator().manual_seed(10 + rank)
    with RowsOfOne(7, 8 // world, world, rank):
        return [draw(8 // world, rng) for _ in range(2)]


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)
def test_rows_of_samples_are_those_of_one_process(draw: Callable[[int, torch.Generator], torch.Tensor]) -> None:
    one, first, second = drawn(draw, 1, 0), drawn(draw, 2, 0), drawn(draw, 2, 1)
    for whole, *halves in zip(one, first, second, strict=True):
        assert torch.equal(whole, torch.cat(halves))
        assert not torch.equal(*halves)
    assert not torch.equal(*one), "the second draw is another"


def test_bounds_are_kept() -> None:
    values = drawn(lambda rows, rng: torch.randint(5, 9, (rows, 200), generator=rng), 2, 1)[0]
    assert set(values.unique().tolist()) == {5, 6, 7, 8}


OTHERS: dict[str, Callable[[torch.Generator], torch.Tensor]] = {
    "other rows": lambda rng: torch.randn(5, 3, generator=rng),
    "one number": lambda rng: torch.randint(1000, (), generator=rng),
    "an order": lambda rng: torch.randperm(4, generator=rng),
    "in place": lambda rng: torch.empty(4, 3).exponential_(generator=rng),
}


@pytest.mark.parametrize("draw", OTHERS.values(), ids=OTHERS)
def test_all_other_draws_come_from_the_given_generator(draw: Callable[[torch.Generator], torch.Tensor]) -> None:
    with RowsOfOne(7, 4, 2, 1):
        inside = draw(torch.Generator().manual_seed(3))
    assert torch.equal(inside, draw(torch.Generator().manual_seed(3)))
