"""The uniformity of codes against a double loop, analytic configurations and the uniform law."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from dimecli.distributions import HypersphereUniform
from dimecli.errors import DimeError, UserError
from dimecli.evaluation.subject import Subject
from dimecli.registry import make

OfCodes = Callable[..., Subject]


def measured(subject: Subject, **options: Any) -> dict[str, float]:
    return {one.name: one.value for one in make("metric", "uniformity", **options).measure(subject)}


def draws(count: int, size: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, size, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("count", "size", "t"), [(2, 2, 2.0), (30, 3, 5e-3), (25, 16, 2.0), (12, 1, 0.5)])
def test_equals_the_double_loop(of_codes: OfCodes, dtype: torch.dtype, count: int, size: int, t: float) -> None:
    codes = F.normalize(draws(count, size).to(dtype), dim=1)
    rows = codes.tolist()
    pairs = [math.exp(-t * math.dist(a, b) ** 2) for i, a in enumerate(rows) for j, b in enumerate(rows) if i != j]
    expected = math.log(math.fsum(pairs) / len(pairs))
    assert measured(of_codes(codes), t=t)["uniformity"] == pytest.approx(expected, rel=1e-6, abs=1e-7)


@pytest.mark.parametrize("t", [5e-3, 2.0])
def test_trap_1_identical_codes_give_0(of_codes: OfCodes, t: float) -> None:
    codes = F.normalize(torch.ones(10, 16), dim=1)
    assert measured(of_codes(codes), t=t)["uniformity"] == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("t", [5e-3, 2.0])
def test_trap_1_antipodal_halves(of_codes: OfCodes, t: float) -> None:
    codes = torch.zeros(12, 4)
    codes[:6, 0], codes[6:, 0] = 1, -1
    expected = math.log((2 * math.comb(6, 2) + 36 * math.exp(-4 * t)) / math.comb(12, 2))
    assert measured(of_codes(codes), t=t)["uniformity"] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("size", "expected"), [(16, -3.513), (3, math.log(-math.expm1(-8) / 8))])
def test_trap_1_uniform_codes_give_the_value_of_the_uniform_law(of_codes: OfCodes, size: int, expected: float) -> None:
    """On the sphere in 3 dimensions the cosine is uniform on [-1, 1], and the mean of exp(2 t (cos - 1)) elementary."""
    codes = HypersphereUniform(size).sample(3000, torch.Generator().manual_seed(0))
    found = measured(of_codes(codes))
    assert found["uniformity/uniform-law"] == pytest.approx(expected, abs=5e-4)
    assert found["uniformity"] == pytest.approx(expected, abs=5e-3)


@pytest.mark.parametrize("length", [1e-15, 500.0, 1e15])
def test_trap_2_codes_of_any_length_are_seen_as_directions(of_codes: OfCodes, length: float) -> None:
    codes = draws(40, 16)
    expected = measured(of_codes(F.normalize(codes, dim=1)))["uniformity"]
    (found, _) = make("metric", "uniformity").measure(of_codes(length * codes, sphere=False))
    assert found.value == pytest.approx(expected, rel=1e-6)
    assert found.conditions == {"n": 40, "t": 2.0, "dimensions": 16}


def test_the_uniform_law_has_least(of_codes: OfCodes) -> None:
    found = measured(of_codes(F.normalize(draws(2000, 8) + 0.3, dim=1)))
    assert found["uniformity"] > found["uniformity/uniform-law"] + 0.01


def test_one_code_is_too_few(of_codes: OfCodes) -> None:
    with pytest.raises(UserError) as caught:
        measured(of_codes(draws(1, 4)))
    assert str(caught.value) == "-n 1: spread needs 2 samples of test, got 1"


def test_zero_has_no_direction(of_codes: OfCodes) -> None:
    codes = draws(5, 4)
    codes[1] = codes[3] = 0
    with pytest.raises(DimeError) as caught:
        measured(of_codes(codes, sphere=False))
    assert str(caught.value) == "2 of 5 codes are zero, which have no direction"
