"""Mixtures of diagonal Gaussians against torch.distributions."""

from __future__ import annotations

import pytest
import torch
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from dimecli.distributions import Tempered
from dimecli.nn.mixture import DiagonalMixture
from dimecli.nn.normal import DiagonalNormal


def mixture(count: int, size: int, dtype: torch.dtype = torch.float32) -> DiagonalMixture:
    rng = torch.Generator().manual_seed(0)
    mean = 2 * torch.randn(count, size, generator=rng, dtype=dtype)
    return DiagonalMixture(DiagonalNormal(mean, torch.randn(count, size, generator=rng, dtype=dtype)))


def reference(mixture: DiagonalMixture) -> MixtureSameFamily:
    mean, log_variance = mixture.components
    components = Independent(Normal(mean, log_variance.exp().sqrt()), 1)
    return MixtureSameFamily(Categorical(logits=torch.zeros_like(mean[:, 0])), components)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("count", "size", "n"), [(1, 1, 3), (7, 4, 5), (3, 2, 3000)])
def test_log_prob_equals_mixture_same_family(count: int, size: int, n: int, dtype: torch.dtype) -> None:
    of_size = mixture(count, size, dtype)
    z = 3 * torch.randn(n, size, generator=torch.Generator().manual_seed(1), dtype=dtype)
    log_prob = of_size.log_prob(z)
    assert log_prob.dtype == dtype
    assert torch.allclose(log_prob, reference(of_size).log_prob(z), rtol=1e-5, atol=1e-5)


def test_log_prob_has_the_gradients_of_mixture_same_family() -> None:
    mean, log_variance = (part.requires_grad_() for part in mixture(4, 3, torch.float64).components)
    z = torch.randn(6, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64, requires_grad=True)
    of_both = DiagonalMixture(DiagonalNormal(mean, log_variance))
    inputs = (mean, log_variance, z)
    ours = torch.autograd.grad(of_both.log_prob(z).sum(), inputs)
    theirs = torch.autograd.grad(reference(of_both).log_prob(z).sum(), inputs)
    assert all(torch.allclose(*pair) for pair in zip(ours, theirs, strict=True))


def test_log_prob_is_finite_far_away() -> None:
    narrow = DiagonalMixture(DiagonalNormal(torch.zeros(2, 2), torch.full((2, 2), -10.0)))
    assert narrow.log_prob(torch.full((1, 2), 1e4)).isfinite().all()


def test_draws_are_of_random_components_not_of_the_first() -> None:
    """Components far apart tell which one a draw is of."""
    means = 100.0 * torch.arange(50)[:, None]
    apart = DiagonalMixture(DiagonalNormal(means, torch.zeros(50, 1)))
    rng = torch.Generator().manual_seed(0)
    few = (apart.sample(10, rng) / 100).round().long().flatten()
    assert few.max() >= 10
    assert not torch.equal(few, few.sort().values)
    many = (apart.sample(10_000, rng) / 100).round().long().flatten()
    counts = torch.bincount(many, minlength=50).double()
    assert ((counts - 200).square() / 200).sum() < 85  # chi-squared with 49 degrees of freedom: p = 0.001


def test_draws_have_the_moments_of_the_mixture() -> None:
    of_three = mixture(3, 2, torch.float64)
    drawn = of_three.sample(200_000, torch.Generator().manual_seed(0))
    assert drawn.dtype == torch.float32
    expected = reference(of_three)
    error = (expected.variance / 200_000).sqrt()
    assert ((drawn.mean(0) - expected.mean).abs() < 4 * error).all()
    assert torch.allclose(drawn.var(0).double(), expected.variance, rtol=0.02)


def test_temperature_scales_the_standard_deviation_of_components() -> None:
    one = DiagonalMixture(DiagonalNormal(torch.ones(1, 2), torch.zeros(1, 2)))
    assert isinstance(one, Tempered)
    tempered = one.tempered(0.5)
    warm, cool = (each.sample(5, torch.Generator().manual_seed(0)) for each in (one, tempered))
    assert torch.allclose(cool - 1, 0.5 * (warm - 1), atol=1e-6)
    assert torch.equal(one.log_prob(warm), tempered.log_prob(warm))


def test_state_is_the_parameters() -> None:
    of_three = mixture(3, 2)
    restored = DiagonalMixture(DiagonalNormal(**of_three.state()))
    assert torch.equal(restored.sample(9, torch.Generator()), of_three.sample(9, torch.Generator()))
