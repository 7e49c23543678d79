"""Likelihoods against torch.distributions."""

import math

import pytest
import torch
from torch import distributions

from dimecli.data.likelihood import Bernoulli, Gaussian, Likelihood
from dimecli.data.sentences import Characters, Productions

SHAPES = [(5, 3), (4, 1, 6, 6), (2, 3, 4, 5)]


def data(shape: tuple[int, ...], dtype: torch.dtype, seed: int) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("variance", [0.5, 1.0, 0.01])
def test_gaussian_nll_and_constant(shape: tuple[int, ...], dtype: torch.dtype, variance: float) -> None:
    x, mean = data(shape, dtype, 0), data(shape, dtype, 1)
    likelihood = Gaussian(variance=variance)
    exact = -distributions.Normal(mean, variance**0.5).log_prob(x).flatten(1).sum(1)
    found = likelihood.nll(mean, x) + likelihood.constant * x[0].numel()
    torch.testing.assert_close(found, exact, rtol=1e-4, atol=1e-4)


def test_gaussian_of_variance_one_half_is_the_squared_error() -> None:
    x, mean = data((4, 1, 3, 3), torch.float32, 0), data((4, 1, 3, 3), torch.float32, 1)
    torch.testing.assert_close(Gaussian().nll(mean, x), (x - mean).square().flatten(1).sum(1))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shape", SHAPES)
def test_bernoulli_nll(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    x, logits = data(shape, dtype, 0).round(), 4 * data(shape, dtype, 1) - 2
    exact = -distributions.Bernoulli(logits=logits).log_prob(x).flatten(1).sum(1)
    torch.testing.assert_close(Bernoulli().nll(logits, x) + Bernoulli().constant, exact)


def test_samples_have_the_moments_of_the_law() -> None:
    rng = torch.Generator().manual_seed(0)
    mean = torch.tensor([[0.2, 0.9]]).expand(40000, -1)
    gaussian = Gaussian(variance=0.25).sample(mean, rng)
    torch.testing.assert_close(gaussian.mean(0), mean[0], atol=0.0125, rtol=0)  # 5 standard errors
    torch.testing.assert_close(gaussian.var(0), torch.full((2,), 0.25), atol=0.009, rtol=0)
    coins = Bernoulli().sample(mean.logit(), rng)
    assert set(coins.unique().tolist()) == {0.0, 1.0}
    torch.testing.assert_close(coins.mean(0), mean[0], atol=0.0125, rtol=0)


def test_bounded_means_stay_in_the_range_of_pixels() -> None:
    bounded = Gaussian(bounded=True)
    assert bounded.estimate(torch.tensor([-0.5, 0.5, 1.5])).tolist() == [0, 0.5, 1]
    assert bounded.output()(torch.tensor([-100.0, 100.0])).tolist() == [0, 1]
    assert Gaussian().estimate(torch.tensor([-0.5, 1.5])).tolist() == [-0.5, 1.5]


@pytest.mark.parametrize("kind", ["gaussian", "bernoulli", "productions", "characters"])
def test_draws_are_of_the_law_that_nll_is_of(kind: str) -> None:
    # under its own law the score, the gradient of the log-likelihood, has mean 0: true of no other draws
    grammar = "%start S\n%max_len 3\nS -> 'a' S | 'b' S 'c' | S 'd' S | 'e'"
    likelihoods: dict[str, tuple[Likelihood, tuple[int, ...]]] = {
        "gaussian": (Gaussian(variance=0.2), (3,)),
        "bernoulli": (Bernoulli(), (3,)),
        "productions": (Productions(grammar=grammar), (3,)),
        "characters": (Characters(grammar=grammar), (4,)),
    }
    likelihood, shape = likelihoods[kind]
    rng = torch.Generator().manual_seed(0)
    point = 2 * torch.randn(likelihood.parameters(shape), generator=rng, dtype=torch.float64)
    parameters = point.expand(20_000, *point.shape).clone().requires_grad_()
    likelihood.nll(parameters, likelihood.sample(parameters.detach(), rng)).sum().backward()
    scores = parameters.grad
    assert scores is not None
    error = scores.std(0) / math.sqrt(len(scores))
    assert (scores.mean(0).abs() <= 5 * error + 1e-12).all()
    assert error.max() > 0
