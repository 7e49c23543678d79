"""Trust regions beside histories that were worked through by hand."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from dimecli.plugin import History
from dimecli.search.region import LENGTH, LONGEST, SHORTEST, TrustRegion, trust_region, within


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def history(rounds: list[list[float]], size: int = 4, first: int = 0) -> History:
    """What was found in each round."""
    values = torch.tensor([value for found in rounds for value in found], dtype=torch.float64)
    numbers = torch.tensor([number for number, found in enumerate(rounds, first) for _ in found], dtype=torch.int64)
    words = [str(index) for index in range(len(values))]
    codes = torch.zeros(len(values), size, dtype=torch.float64)
    return History(words, codes, values, torch.ones(len(values)).bool(), numbers, frozenset(words))


# Rounds of two in four dimensions: max(4, 4) / 2 = 2 failures halve the length, 3 successes double it.
GOOD, BAD = ([1.0, 0.0], [0.0, 0.0])


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ([], TrustRegion()),
        ([[5.0, 3.0]], TrustRegion()),
        ([[5.0, 3.0], [4.0, 5.0]], TrustRegion(0.8, 0, 1)),
        ([[5.0, 3.0], [4.0, 5.0], [5.1, 0.0]], TrustRegion(0.8, 1, 0)),
        ([[5.0, 3.0], [4.0, 5.0], [5.1, 0.0], [5.1, 0.0]], TrustRegion(0.8, 0, 1)),
        ([[5.0, 3.0], [4.0, 5.0], [1.0, 0.0]], TrustRegion(0.4)),
        ([[5.0, 3.0], [4.0, 5.0], [1.0, 0.0], [5.5, 0.0]], TrustRegion(0.4, 1, 0)),
        ([[5.0, 3.0], [6.0, 0.0], [0.0, 7.0]], TrustRegion(0.8, 2, 0)),
        ([[5.0, 3.0], [6.0, 0.0], [0.0, 7.0], [8.0, 0.0]], TrustRegion(1.6)),
        ([[5.0, 3.0], *([value, 0.0] for value in (6.0, 7.0, 8.0, 9.0, 10.0, 11.0))], TrustRegion(1.6)),
        ([[5.0, 3.0], [5.004, 0.0]], TrustRegion(0.8, 0, 1)),  # an improvement of less than a thousandth
        ([[-5.0, -7.0], [-4.996, -9.0]], TrustRegion(0.8, 0, 1)),
        ([[-5.0, -7.0], [-4.99, -9.0]], TrustRegion(0.8, 1, 0)),
    ],
)
def test_the_state_is_that_worked_out_by_hand(found: list[list[float]], expected: TrustRegion) -> None:
    assert trust_region(history(found)) == expected


@pytest.mark.parametrize(("size", "batch", "tolerance"), [(4, 1, 4), (2, 1, 4), (9, 1, 9), (9, 4, 3), (9, 50, 1)])
def test_the_tolerance_is_of_evaluations(size: int, batch: int, tolerance: int) -> None:
    for rounds in range(1, tolerance + 1):
        state = trust_region(history([[1.0]] + [[0.0] * batch] * rounds, size))
        assert state == (TrustRegion(LENGTH / 2) if rounds == tolerance else TrustRegion(LENGTH, 0, rounds))


def test_a_region_that_is_too_short_is_given_up_and_the_next_knows_nothing_of_it() -> None:
    """0.8 halves six times to 0.0125, and 0.00625 is less than 2^-7: seven failures in rounds of four."""
    assert 0.8 / 2**6 >= SHORTEST > 0.8 / 2**7
    failed = [[9.0]] + [[0.0] * 4] * 7
    assert trust_region(history(failed[:7])).length == pytest.approx(0.8 / 2**6)
    assert trust_region(history(failed)) == TrustRegion(since=8)
    first = [*failed, [1.0, 2.0, 0.0, 0.0]]  # far below the 9 of the region before
    assert trust_region(history(first)) == TrustRegion(since=8)
    assert trust_region(history([*first, [3.0, 0.0, 0.0, 0.0]])) == TrustRegion(0.8, 1, 0, since=8)
    assert trust_region(history([*first, [1.5, 0.0, 0.0, 0.0]])) == TrustRegion(0.4, since=8)


def test_without_a_start_the_first_round_is_what_later_ones_improve_upon() -> None:
    assert trust_region(history([[1.0] * 4], first=1)) == TrustRegion()
    assert trust_region(history([[1.0] * 4, [2.0] * 4], first=1)) == TrustRegion(0.8, 1, 0)


@given(st.lists(st.lists(st.floats(-9, 9), min_size=1, max_size=5), max_size=25))
@settings(derandomize=True, deadline=None)
def test_what_comes_later_goes_on_from_the_state_before(found: list[list[float]]) -> None:
    state = trust_region(history(found))
    assert SHORTEST <= state.length <= LONGEST
    assert not (state.successes and state.failures)
    assert state.since <= len(found)
    assert math.log2(LENGTH / state.length).is_integer()


def space(latent_space: str, size: int) -> Any:
    codes = torch.randn(500, size, generator=rng(9), dtype=torch.float64) * torch.arange(1, size + 1)
    return SimpleNamespace(
        latent_space=latent_space, codes=F.normalize(codes, dim=1) if latent_space == "sphere" else codes
    )


@pytest.mark.parametrize("size", [2, 3, 16, 60])
@pytest.mark.parametrize("length", [0.01, 0.8, 1.6])
def test_codes_on_the_sphere_lie_within_the_ball_and_reach_all_of_it(size: int, length: float) -> None:
    centre = F.normalize(torch.randn(size, generator=rng(3), dtype=torch.float64), dim=0)
    codes = within(space("sphere", size), centre, length, torch.ones(1).double(), 2_000, rng())
    torch.testing.assert_close(codes.norm(dim=1), torch.ones(2_000).double())
    angles = 2 * torch.atan2((codes - centre).norm(dim=1), (codes + centre).norm(dim=1))
    assert angles.max() <= length * (1 + 1e-9)
    shares = (angles / length).sort().values
    assert (shares - torch.linspace(0, 1, 2_000)).abs().max() < 0.05  # uniform: 1.36 / sqrt 2000 at 5 %
    steps = codes - (codes @ centre)[:, None] * centre
    assert steps.mean(0).norm() < 5 * steps.norm(dim=1).mean() / math.sqrt(2_000)


def test_a_direction_along_the_centre_leads_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """One of 80 dimensions moves at a time, and that may be the axis that the centre lies on."""
    monkeypatch.setattr("dimecli.search.region._PERTURBED", 0)
    centre = F.one_hot(torch.tensor(0), 80).double()
    codes = within(space("sphere", 80), centre, 0.5, torch.ones(1).double(), 500, rng())
    assert (codes == centre).all(1).any()
    torch.testing.assert_close(codes.norm(dim=1), torch.ones(500).double())


def test_flat_codes_lie_in_a_box_with_sides_as_the_length_scales() -> None:
    flat, centre = space("euclidean", 3), torch.zeros(3, dtype=torch.float64)
    sides = flat.codes.amax(0) - flat.codes.amin(0)
    lengthscale = sides * torch.tensor([0.5, 1.0, 2.0], dtype=torch.float64)
    codes = within(flat, centre, 0.2, lengthscale, 1_024, rng())
    reached = codes.amax(0) - codes.amin(0)
    torch.testing.assert_close(reached, 0.2 * sides * torch.tensor([0.5, 1.0, 2.0]).double(), rtol=0.01, atol=0)
    assert codes.amax(0).allclose(-codes.amin(0), rtol=0.02)
    same = within(flat, centre, 0.2, torch.ones(1).double(), 1_024, rng())
    reached = same.amax(0) - same.amin(0)
    torch.testing.assert_close(
        reached, torch.full((3,), 0.2 * sides.log().mean().exp().item()).double(), rtol=0.01, atol=0
    )


def test_flat_codes_stay_in_the_box_of_the_training_codes() -> None:
    flat = space("euclidean", 3)
    low, high = flat.codes.amin(0), flat.codes.amax(0)
    codes = within(flat, high + 5 * (high - low), 1.6, high - low, 500, rng())  # as if from its corner
    assert (codes >= low).all()
    assert (codes <= high).all()
    torch.testing.assert_close(codes.amin(0), high - 0.8 * (high - low), rtol=0.02, atol=0.02)


def test_a_dimension_in_which_codes_do_not_differ_stays_as_it_is() -> None:
    flat = space("euclidean", 3)
    flat.codes[:, 1] = 2.0
    codes = within(flat, torch.tensor([0.0, 2.0, 0.0]).double(), 0.5, torch.ones(3).double(), 100, rng())
    assert (codes[:, 1] == 2).all()
    assert (codes[:, [0, 2]].std(0) > 0.1).all()


@pytest.mark.parametrize("latent_space", ["sphere", "euclidean"])
@pytest.mark.parametrize("size", [5, 100])
def test_of_many_dimensions_twenty_move_at_a_time(latent_space: str, size: int) -> None:
    any_space = space(latent_space, size)
    centre = F.one_hot(torch.tensor(0), size).double()
    codes = within(any_space, centre, 0.5, torch.ones(1).double(), 500, rng())
    moved = (codes != centre)[:, 1:].sum(1).double()
    assert abs(moved.mean() - min(20 / size, 1) * (size - 1)) < 1
    assert (moved.var() > 4) == (size == 100)
