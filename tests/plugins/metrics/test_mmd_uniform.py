"""The discrepancy from the uniform law against double loops, two samples and the law of the estimate."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from scipy.special import gamma as gamma_function
from scipy.special import iv

from dimecli.distributions import HypersphereUniform
from dimecli.evaluation.subject import Subject
from dimecli.plugin import Measured
from dimecli.registry import make

OfCodes = Callable[..., Subject]


def measured(subject: Subject, t: float = 2.0) -> Measured:
    (found,) = make("metric", "mmd-uniform", t=t).measure(subject)
    assert isinstance(found, Measured)
    return found


def uniform(count: int, size: int, seed: int) -> torch.Tensor:
    return HypersphereUniform(size).sample(count, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("count", "size", "t"), [(2, 2, 2.0), (20, 3, 5e-3), (25, 16, 2.0), (9, 64, 0.5)])
def test_equals_theorem_3_as_printed(of_codes: OfCodes, dtype: torch.dtype, count: int, size: int, t: float) -> None:
    codes = uniform(count, size, 0).to(dtype)
    sigma = 1 / math.sqrt(2 * t)
    order = size / 2 - 1
    a = math.exp(-(sigma**-2)) * gamma_function(size / 2) * (2 * sigma**2) ** order * iv(order, sigma**-2)
    total = 0.0
    for i, z in enumerate(codes.tolist()):
        for j, w in enumerate(codes.tolist()):
            total += math.exp(-(math.dist(z, w) ** 2) / (2 * sigma**2)) if i != j else 0.0
    assert measured(of_codes(codes), t).value == pytest.approx(total / (count * (count - 1)) - a, rel=1e-4, abs=1e-7)


@pytest.mark.parametrize("size", [2, 3, 16, 64, 512])
def test_equals_the_estimate_from_two_samples(of_codes: OfCodes, size: int) -> None:
    """Codes around a pole; `E k(w, w') - 2 E k(w, z) + E k(z, z')` with uniform w that are drawn (paper, eq. 9)."""
    z = uniform(400, size, 1)
    z[:, 0] += 0.5
    z = F.normalize(z, dim=1).double()
    w = uniform(4000, size, 2).double()

    def kernel(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return torch.exp(-2 * torch.cdist(a, b).square())

    def off_diagonal(square: torch.Tensor) -> torch.Tensor:
        return square[~torch.eye(len(square), dtype=torch.bool)]

    between = kernel(w, z)
    expected = off_diagonal(kernel(w, w)).mean() - 2 * between.mean() + off_diagonal(kernel(z, z)).mean()
    error = 2 * between.mean(1).std().item() / math.sqrt(len(w))  # of the term that has the most noise
    assert measured(of_codes(z)).value == pytest.approx(expected.item(), abs=4 * error + 1e-6)
    assert measured(of_codes(z)).value > 0


@pytest.mark.parametrize("size", [2, 16, 512])
def test_of_uniform_codes_it_scatters_about_0_as_it_says(of_codes: OfCodes, size: int) -> None:
    found = [measured(of_codes(uniform(30, size, seed))) for seed in range(300)]
    values = torch.tensor([one.value for one in found])
    assert abs(values.mean()) < 4 * values.std() / math.sqrt(len(values))
    assert 0.3 < (values < 0).float().mean() < 0.8
    (told,) = {one.remark for one in found}
    said = re.fullmatch(
        r"30 uniform codes would give 0 with a standard deviation of (\S+); negative is no mistake", told
    )
    assert said
    assert values.std().item() == pytest.approx(float(said[1]), rel=0.2)


def test_any_order_of_the_codes_gives_the_same(of_codes: OfCodes) -> None:
    codes = uniform(50, 8, 0)
    assert measured(of_codes(codes.flip(0))).value == pytest.approx(measured(of_codes(codes)).value, abs=1e-12)


def test_the_blocks_of_many_codes_give_the_same(of_codes: OfCodes) -> None:
    codes = uniform(1500, 8, 0)
    pairs = torch.exp(-2 * torch.cdist(codes.double(), codes.double()).square())
    mean = (pairs.sum() - len(codes)) / (len(codes) * (len(codes) - 1))
    few = codes[:200].double()
    of_few = (torch.exp(-2 * torch.cdist(few, few).square()).sum() - 200) / (200 * 199)
    difference = measured(of_codes(codes)).value - measured(of_codes(codes[:200])).value  # free of the closed form
    assert difference == pytest.approx((mean - of_few).item(), abs=1e-9)


def test_codes_elsewhere_are_seen_as_directions_and_compare(of_codes: OfCodes) -> None:
    codes = uniform(50, 8, 0)
    on, off = measured(of_codes(codes)), measured(of_codes(3 * codes, sphere=False))
    assert off.value == pytest.approx(on.value, abs=1e-7)
    assert on.conditions == off.conditions
