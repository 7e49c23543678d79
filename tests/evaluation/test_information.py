"""Estimates of mutual information against independent ones, and against the truth where it is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.spatial import cKDTree
from scipy.special import digamma
from torch.distributions import Independent, Normal

from dimecli.errors import DimeError
from dimecli.evaluation.information import (
    Bound,
    calibrated,
    contrast,
    critic_bound,
    donsker_varadhan,
    f_dual,
    fit_critic,
    info_nce,
    ksg,
    population_bound,
)
from dimecli.nn.critic import Standardise
from dimecli.nn.divergence import lower_bound
from dimecli.nn.normal import DiagonalNormal

DTYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.float64])


def correlated(n: int, size: int, rho: float = 0.8, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, float]:
    """Pairs of Gaussians whose coordinates are correlated one by one, and their information in nats."""
    rng = torch.Generator().manual_seed(seed)
    x, noise = torch.randn(2, n, size, generator=rng)
    return x, rho * x + math.sqrt(1 - rho**2) * noise, -size / 2 * math.log(1 - rho**2)


def kraskov(x: np.ndarray, z: np.ndarray, k: int) -> float:
    """Equation 8 of Kraskov et al. with trees, in float64."""
    x, z = x / x.std(0, ddof=1), z / z.std(0, ddof=1)
    both = np.hstack([x, z])
    radius = cKDTree(both).query(both, k + 1, p=np.inf)[0][:, -1]
    nearer = [
        cKDTree(of).query_ball_point(of, np.nextafter(radius, 0), p=np.inf, return_length=True) - 1 for of in (x, z)
    ]
    return float(digamma(k) + digamma(len(x)) - sum(digamma(count + 1).mean() for count in nearer))


@DTYPES
@pytest.mark.parametrize(("sizes", "neighbours"), [((1, 1), 5), ((3, 2), 3), ((2, 16), 1)])
def test_ksg_is_that_of_an_independent_implementation(
    sizes: tuple[int, int], neighbours: int, dtype: torch.dtype
) -> None:
    rng = torch.Generator().manual_seed(1)
    x = torch.randn(600, sizes[0], generator=rng, dtype=dtype)
    z = x @ torch.randn(sizes, generator=rng, dtype=dtype) + torch.randn(600, sizes[1], generator=rng, dtype=dtype)
    expected = kraskov(x.double().numpy(), z.double().numpy(), neighbours)
    assert ksg(x, z, neighbours) == pytest.approx(expected, abs=5e-4)


def test_ksg_is_right_in_one_dimension_and_says_far_too_little_in_many() -> None:
    """The table of the facts: 4,000 Gaussians of 1, 4 and 16 dimensions, correlated by 0.8, of 0.51 to 8.17 nats."""
    found = []
    for size in (1, 4, 16):
        x, z, _ = correlated(4000, size)
        log_ratios = Normal(0.8 * x, 0.6).log_prob(z) - Normal(0, 1).log_prob(z)  # their mean: what these pairs have
        found.append(ksg(x, z) / log_ratios.sum(1).mean().item())
    assert found[0] == pytest.approx(1, abs=0.03)
    assert 0.8 < found[1] < 0.92
    assert 0.25 < found[2] < 0.31


def test_ksg_of_independent_data_is_near_0_and_takes_constant_columns() -> None:
    x, _, _ = correlated(1000, 2)
    _, z, _ = correlated(1000, 2, seed=1)
    assert abs(ksg(x, z)) < 0.05
    constant = torch.cat([x, torch.ones(1000, 1)], dim=1)
    assert ksg(constant, z) == ksg(x, z)
    assert ksg(torch.ones(1000, 3), z) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("count", [2, 30, 1201])
def test_contrast_separates_own_scores_from_all_others(count: int) -> None:
    scores = torch.randn(count, count, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    own, others = contrast(lambda rows: scores[rows], count)
    assert torch.equal(own, scores.diagonal())
    apart = scores.masked_fill(torch.eye(count, dtype=torch.bool), -math.inf)
    torch.testing.assert_close(others, apart.logsumexp(1))
    plain = (scores.diagonal() - scores.exp().mean(1).log()).mean()
    torch.testing.assert_close(info_nce(own, others), plain)
    product = scores[~torch.eye(count, dtype=torch.bool)]
    torch.testing.assert_close(donsker_varadhan(own, others), lower_bound("kl-dv", scores.diagonal(), product))
    torch.testing.assert_close(f_dual(own, others), lower_bound("kl-f", scores.diagonal(), product))
    assert f_dual(own, others) <= donsker_varadhan(own, others)


def test_the_f_dual_of_a_calibrated_critic_is_donsker_varadhan_s_on_the_pairs_it_was_calibrated_on() -> None:
    x, z, _ = correlated(300, 2)

    def critic(x: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        return 0.7 * z @ x.T + 5

    moved = calibrated(critic, x, z)
    plain = critic_bound(donsker_varadhan, critic, x, z)
    assert critic_bound(f_dual, moved, x, z) == pytest.approx(plain, abs=1e-5)
    assert critic_bound(f_dual, critic, x, z) < plain - 1
    x, z, _ = correlated(300, 2, seed=1)
    assert critic_bound(f_dual, moved, x, z) < critic_bound(donsker_varadhan, critic, x, z)


@pytest.mark.parametrize("count", [2, 100])
def test_infonce_is_never_above_log_n(count: int) -> None:
    best = [1e6 * torch.eye(count)]
    noisy = [scale * torch.randn(count, count, generator=torch.Generator().manual_seed(0)) for scale in (0.1, 1e3)]
    values = [info_nce(*contrast(scores.__getitem__, count)).item() for scores in best + noisy]
    assert values[0] == pytest.approx(math.log(count))
    assert max(values[1:]) <= math.log(count) + 1e-12


@DTYPES
@pytest.mark.parametrize("size", [1, 3])
def test_population_bound_is_that_of_all_pairs(size: int, dtype: torch.dtype) -> None:
    rng = torch.Generator().manual_seed(2)
    mean, log_variance = torch.randn(2, 40, size, generator=rng, dtype=dtype)
    posterior = DiagonalNormal(mean, log_variance)
    z = posterior.sample(rng)
    every = Independent(Normal(mean.double(), (log_variance.double() / 2).exp()), 1).log_prob(z.double()[:, None])
    expected = (every.diagonal() - every.exp().mean(1).log()).mean().item()
    assert population_bound(posterior, z) == pytest.approx(expected, rel=1e-9)


def test_population_bound_is_near_the_truth_below_log_n_and_at_it_above() -> None:
    x, z, truth = correlated(4000, 2)
    posterior = DiagonalNormal(0.8 * x, torch.full_like(x, math.log(1 - 0.8**2)))
    assert population_bound(posterior, z) == pytest.approx(truth, abs=0.04)
    x, z, truth = correlated(200, 16)
    assert truth > math.log(200)
    posterior = DiagonalNormal(0.8 * x, torch.full_like(x, math.log(1 - 0.8**2)))
    assert math.log(200) - 0.5 < population_bound(posterior, z) <= math.log(200)


@pytest.mark.parametrize("bound", [info_nce, donsker_varadhan])
def test_critics_are_below_the_truth_on_pairs_that_they_have_not_seen(bound: Bound) -> None:
    x, z, truth = correlated(1000, 1)
    critic = fit_critic(bound, x, z, torch.Generator().manual_seed(0))
    value = critic_bound(bound, critic, *correlated(2000, 1, seed=1)[:2])
    assert 0.5 * truth < value < truth + 0.03


def test_a_critic_depends_on_its_generator_alone() -> None:
    x, z, _ = correlated(60, 2)
    torch.manual_seed(1)
    first = fit_critic(info_nce, x, z, torch.Generator().manual_seed(0))
    torch.manual_seed(2)
    again, other = (fit_critic(info_nce, x, z, torch.Generator().manual_seed(seed)) for seed in (0, 1))
    assert torch.equal(first(x, z), again(x, z))
    assert not torch.equal(first(x, z), other(x, z))


def test_critic_of_independent_pairs_finds_nothing() -> None:
    x, _, _ = correlated(1000, 2)
    _, z, _ = correlated(1000, 2, seed=1)
    critic = fit_critic(donsker_varadhan, x, z, torch.Generator().manual_seed(0))
    fresh = correlated(1000, 2, seed=2)[0], correlated(1000, 2, seed=3)[1]
    assert critic_bound(donsker_varadhan, critic, *fresh) < 0.02


def test_scales_and_constant_columns_do_not_matter_to_a_critic() -> None:
    x, z, truth = correlated(1000, 1)
    large = torch.cat([1e6 * x + 1e5, torch.full_like(x, 7)], dim=1)
    critic = fit_critic(info_nce, large, 1e-4 * z, torch.Generator().manual_seed(0))
    assert critic_bound(info_nce, critic, large, 1e-4 * z) > 0.7 * truth
    rows = Standardise(large)(large)
    torch.testing.assert_close(rows.std(0, correction=0), torch.tensor([1.0, 0.0]))


def test_a_fit_that_diverges_is_told() -> None:
    x = torch.full((40, 1), math.nan)
    with pytest.raises(DimeError, match=r"^the fit of a critic diverged; codes or data may be too large$"):
        fit_critic(info_nce, x, x, torch.Generator())
