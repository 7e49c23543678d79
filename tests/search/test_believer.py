import math
import warnings
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dimecli.search.believer import choose, log_ei

with warnings.catch_warnings():
    warnings.simplefilter("ignore", FutureWarning)  # gpytorch compiles with torch.jit.script
    from botorch.acquisition.analytic import LogExpectedImprovement
    from botorch.models.deterministic import GenericDeterministicModel
    from botorch.posteriors.gpytorch import GPyTorchPosterior
    from gpytorch.distributions import MultivariateNormal


class Dense:
    """A joint posterior given by its mean and its whole covariance."""

    def __init__(self, mean: torch.Tensor, covariance: torch.Tensor) -> None:
        self.mean, self.covariance = mean, covariance

    @property
    def variance(self) -> torch.Tensor:
        return self.covariance.diagonal()

    def column(self, j: int) -> torch.Tensor:
        return self.covariance[:, j]


def joint(m: int, rank: int, seed: int, dtype: torch.dtype = torch.float64) -> Dense:
    rng = torch.Generator().manual_seed(seed)
    root = torch.randn(m, rank, generator=rng, dtype=torch.float64)
    mean = torch.randn(m, generator=rng, dtype=torch.float64)
    covariance = root @ root.T / rank + 1e-3 * torch.eye(m, dtype=torch.float64)
    return Dense(mean.to(dtype), covariance.to(dtype))


def refitted(joint: Dense, noise: float, best: float, n: int) -> list[int]:
    """The believer, by the posterior given all believed values anew, from dense algebra."""
    mean, covariance = joint.mean.double(), joint.covariance.double()
    chosen: list[int] = []
    for _ in range(n):
        among = covariance[chosen][:, chosen] + noise * torch.eye(len(chosen), dtype=torch.float64)
        gain = covariance[:, chosen] @ torch.linalg.inv(among)
        now = mean + gain @ (mean[chosen] - mean[chosen])
        variance = (covariance - gain @ covariance[chosen]).diagonal()
        ei = log_ei(now, variance.clamp(min=1e-12).sqrt(), max([best, *mean[chosen].tolist()]))
        ei[chosen] = -math.inf
        chosen.append(int(ei.argmax()))
    return chosen


def botorch_log_ei(mean: torch.Tensor, std: torch.Tensor, best: float) -> torch.Tensor:
    class Normal(GenericDeterministicModel):
        def posterior(self, *_: Any, **__: Any) -> GPyTorchPosterior:  # type: ignore[override]
            distribution = MultivariateNormal(mean[:, None], torch.diag_embed(std[:, None].square()))
            return GPyTorchPosterior(distribution)

    model = Normal(lambda x: x, num_outputs=1)
    value: torch.Tensor = LogExpectedImprovement(model, best)(mean[:, None, None])
    return value


@pytest.mark.parametrize("std", [0.1, 0.7, 40.0])
def test_log_ei_is_that_of_botorch_with_its_gradients(std: float) -> None:
    u = torch.cat([-torch.logspace(4, -3, 60, dtype=torch.float64), torch.logspace(-3, 2, 30, dtype=torch.float64)])
    ours = [(0.3 + std * u).requires_grad_(), torch.full_like(u, std).requires_grad_()]
    theirs = [part.detach().clone().requires_grad_() for part in ours]
    value, expected = log_ei(ours[0], ours[1], 0.3), botorch_log_ei(theirs[0], theirs[1], 0.3)
    torch.testing.assert_close(value, expected, rtol=1e-6, atol=1e-6)
    for part, reference in zip(
        torch.autograd.grad(value.sum(), ours), torch.autograd.grad(expected.sum(), theirs), strict=True
    ):
        torch.testing.assert_close(part, reference, rtol=1e-6, atol=1e-6)


def test_log_ei_is_the_logarithm_of_a_mean() -> None:
    from scipy.integrate import quad
    from scipy.stats import norm

    for mean, std, best in [(0.2, 0.5, 0.1), (-1.0, 0.3, 0.4), (3.0, 1.0, -2.0)]:
        expected, _ = quad(lambda f, m=mean, s=std, b=best: (f - b) * norm.pdf(f, m, s), best, mean + 12 * std)
        found = log_ei(torch.tensor(mean).double(), torch.tensor(std).double(), best)
        assert found.item() == pytest.approx(math.log(expected), abs=1e-6)


def test_log_ei_is_finite_and_rises_wherever_float64_reaches() -> None:
    u = -torch.logspace(-3, 8, 4000, dtype=torch.float64).flip(0)
    mean = u.clone().requires_grad_()
    value = log_ei(mean, torch.ones_like(u), 0.0)
    (gradient,) = torch.autograd.grad(value.sum(), mean)
    assert value.isfinite().all()
    assert (value.diff() > 0).all()
    assert (gradient > 0).all()
    torch.testing.assert_close(gradient[:10], -u[:10], rtol=1e-6, atol=0)  # d log phi(u) / du


@settings(max_examples=40, deadline=None, derandomize=True)
@given(m=st.integers(1, 25), rank=st.integers(1, 25), n=st.integers(1, 30), seed=st.integers(0, 10**6))
def test_updates_of_rank_one_choose_what_full_refits_choose(m: int, rank: int, n: int, seed: int) -> None:
    given_joint = joint(m, rank, seed)
    chosen = choose(given_joint, 0.05, 0.5, n).tolist()
    assert chosen == refitted(given_joint, 0.05, 0.5, min(n, m))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_choices_are_distinct_and_of_any_dtype(dtype: torch.dtype) -> None:
    chosen = choose(joint(40, 3, 0, dtype), 0.0, 0.0, 40)
    assert chosen.sort().values.tolist() == list(range(40))


def test_it_spreads_where_one_point_tells_about_others() -> None:
    covariance = torch.block_diag(torch.full((5, 5), 0.99), torch.full((5, 5), 0.99)) + 0.01 * torch.eye(10)
    mean = torch.cat([torch.full((5,), 0.1), torch.zeros(5)]).double()
    first, second = choose(Dense(mean, covariance.double()), 1e-4, 0.0, 2).tolist()
    assert first < 5 <= second
