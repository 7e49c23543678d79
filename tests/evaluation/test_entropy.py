"""Entropies of codes against closed forms, and against plain loops."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from scipy.stats import vonmises_fisher
from torch.distributions import MultivariateNormal

from dimecli.errors import DimeError
from dimecli.evaluation.entropy import distinct, entropy, entropy_on_sphere
from dimecli.nn.vmf import VonMisesFisher

DTYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.float64])


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def gaussian(size: int) -> MultivariateNormal:
    """Correlated, with standard deviations from 0.01 to 10."""
    root = torch.randn(size, size, generator=rng(1), dtype=torch.float64)
    scales = torch.logspace(-2, 1, size, dtype=torch.float64)
    covariance = scales[:, None] * (root @ root.T + torch.eye(size, dtype=torch.float64)) * scales
    return MultivariateNormal(torch.full((size,), 5.0, dtype=torch.float64), covariance)


@DTYPES
@pytest.mark.parametrize(("size", "excess"), [(1, 0.05), (2, 0.1), (4, 0.35)])
def test_gaussian_codes(size: int, excess: float, dtype: torch.dtype) -> None:
    """The estimate is a little above the truth, by the divergence of the kernels' sum from it."""
    law = gaussian(size)
    noise = torch.randn(3000, size, generator=rng(), dtype=torch.float64)
    found = entropy((law.mean + noise @ law.scale_tril.T).to(dtype), rng())
    truth = law.entropy().item()
    assert found.most == pytest.approx(truth, abs=0.05)
    assert truth - 0.05 < found.nats < truth + excess
    assert not found.narrowest


def test_codes_that_are_no_gaussian_have_less_than_one() -> None:
    """Two narrow heaps: the entropy is that of one, and log 2."""
    codes = 0.05 * torch.randn(2000, 1, generator=rng()) + torch.arange(2000)[:, None] % 2
    found = entropy(codes, rng())
    assert found.nats == pytest.approx(0.5 * math.log(2 * math.pi * math.e * 0.05**2) + math.log(2), abs=0.05)
    assert found.most > found.nats + 1


@DTYPES
@pytest.mark.parametrize("size", [2, 3, 16])
def test_uniform_codes_on_the_sphere_have_the_logarithm_of_its_area(size: int, dtype: torch.dtype) -> None:
    codes = F.normalize(torch.randn(2000, size, generator=rng(), dtype=dtype), dim=1)
    log_area = math.log(2) + size / 2 * math.log(math.pi) - math.lgamma(size / 2)
    found = entropy_on_sphere(codes, rng())
    assert found.most == pytest.approx(log_area, rel=1e-6)
    assert found.nats == pytest.approx(log_area, abs=0.02)


@pytest.mark.parametrize(("size", "kappa", "error"), [(2, 5.0, 0.05), (3, 20.0, 0.05), (8, 50.0, 0.6)])
def test_von_mises_fisher_codes(size: int, kappa: float, error: float) -> None:
    direction = F.one_hot(torch.tensor(0), size).double()
    law = VonMisesFisher(direction.expand(3000, size), torch.full((3000,), kappa, dtype=torch.float64))
    truth = vonmises_fisher(direction.numpy(), kappa).entropy()
    found = entropy_on_sphere(law.sample(rng()), rng()).nats
    assert truth - 0.05 < found < truth + error


def test_the_best_width_is_that_of_a_plain_loop() -> None:
    """Every code left out, one after the other, with every width."""
    codes = torch.randn(40, 2, generator=rng(), dtype=torch.float64)
    covariance = torch.cov(codes.T, correction=0)
    best = min(
        -sum(
            MultivariateNormal(torch.cat([codes[:i], codes[i + 1 :]]), h * h * covariance)
            .log_prob(code)
            .exp()
            .mean()
            .log()
            for i, code in enumerate(codes)
        ).item()
        / 40
        for h in (0.02 * 1.25**k for k in range(21))
    )
    assert entropy(codes, rng()).nats == pytest.approx(best, rel=1e-9)


@pytest.mark.parametrize("factor", [1e-3, 7.0])
def test_scaled_codes_have_the_logarithm_of_the_scale_more(factor: float) -> None:
    codes = torch.randn(300, 3, generator=rng())
    before, after = entropy(codes, rng()), entropy(factor * codes, rng())
    assert after.nats == pytest.approx(before.nats + 3 * math.log(factor), abs=1e-4)
    assert after.most == pytest.approx(before.most + 3 * math.log(factor), abs=1e-4)


def test_codes_without_a_density() -> None:
    flat = torch.randn(50, 2, generator=rng()) @ torch.tensor([[1.0, 0, 1], [0, 1, 1]])
    with pytest.raises(DimeError, match=r"^the 50 codes vary along 2 of 3 directions alone, so that they have no "):
        entropy(flat, rng())
    with pytest.raises(DimeError, match="the 50 codes vary along 0 of 3 directions"):
        entropy(torch.ones(50, 3), rng())
    copies = torch.randn(50, 2, generator=rng()).repeat(2, 1)
    assert entropy(copies, rng()).narrowest
    assert entropy_on_sphere(F.normalize(copies, dim=1), rng()).narrowest


def test_distinct_rows() -> None:
    x = torch.tensor([[1, 2], [3, 4], [1, 2], [3, 4], [5, 6]], dtype=torch.int16)
    assert distinct(x).tolist() == [0, 1, 4]
    assert distinct(x.float()[:, None].expand(5, 3, 2)).tolist() == [0, 1, 4]
