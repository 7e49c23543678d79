"""Lengths of codes with known laws."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch

from dimecli.distributions import HypersphereUniform
from dimecli.evaluation.subject import Subject
from dimecli.registry import make

OfCodes = Callable[..., Subject]


def measured(subject: Subject) -> dict[str, float]:
    return {one.name: one.value for one in make("metric", "norms").measure(subject)}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_two_codes_by_hand(of_codes: OfCodes, dtype: torch.dtype) -> None:
    found = measured(of_codes(torch.tensor([[3.0, 4.0], [1.0, 0.0]], dtype=dtype), sphere=False))
    assert found == {"norms/mean": 3, "norms/std": 2, "norms/of-mean-code": pytest.approx(math.sqrt(8))}


@pytest.mark.parametrize("size", [2, 16, 512])
def test_normal_codes_have_lengths_of_the_chi_law(of_codes: OfCodes, size: int) -> None:
    found = measured(of_codes(torch.randn(4000, size, generator=torch.Generator().manual_seed(0)), sphere=False))
    mean = math.sqrt(2) * math.exp(math.lgamma((size + 1) / 2) - math.lgamma(size / 2))
    std = math.sqrt(size - mean**2)
    assert found["norms/mean"] == pytest.approx(mean, abs=4 * std / math.sqrt(4000))
    assert found["norms/std"] == pytest.approx(std, rel=0.06)


def test_codes_that_fill_the_sphere(of_codes: OfCodes) -> None:
    found = measured(of_codes(HypersphereUniform(16).sample(4000, torch.Generator().manual_seed(0))))
    assert found["norms/mean"] == pytest.approx(1, abs=1e-6)
    assert found["norms/std"] == pytest.approx(0, abs=1e-6)
    assert found["norms/of-mean-code"] == pytest.approx(1 / math.sqrt(4000), rel=0.6)
