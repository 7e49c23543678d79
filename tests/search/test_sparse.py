from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal

from dimecli.console import Progress
from dimecli.search import bound as bounds
from dimecli.search import sparse
from dimecli.search.bound import LIMITS, PLATEAU, Bound
from dimecli.search.kernels import Kernel
from dimecli.search.sparse import SparseGP, fit_sparse

JITTER = 1e-6


def data(n: int, l: int = 3, noise: float = 0.1, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:  # noqa: E741
    rng = torch.Generator().manual_seed(seed)
    codes = torch.randn(n, l, generator=rng, dtype=torch.float64)
    values = torch.sin(2 * codes[:, 0]) + codes[:, 1] + noise * torch.randn(n, generator=rng, dtype=torch.float64)
    return codes, 5 + 3 * values


def rng() -> torch.Generator:
    return torch.Generator().manual_seed(1)


def covariance(a: torch.Tensor, b: torch.Tensor, lengthscale: torch.Tensor, outputscale: float) -> torch.Tensor:
    differences = (a[:, None] - b) / lengthscale  # every pair on its own
    result: torch.Tensor = outputscale * torch.exp(-0.5 * differences.square().sum(2))
    return result


class Dense:
    """Titsias (2009), eqs. 6, 9 and 10 by inverses of whole matrices."""

    def __init__(self, gp: SparseGP, codes: torch.Tensor, values: torch.Tensor) -> None:
        self.gp, targets = gp, (values - gp.location) / gp.scale
        k_mm = self.kernel(gp.inducing, gp.inducing) + gp.outputscale * JITTER * torch.eye(len(gp.inducing))
        k_mn = self.kernel(gp.inducing, codes)
        q = k_mn.T @ torch.linalg.solve(k_mm, k_mn)
        noisy = q + gp.noise_ratio * torch.eye(len(codes))
        likelihood = multivariate_normal(np.zeros(len(codes)), noisy.numpy()).logpdf(targets.numpy())
        trace = len(codes) * gp.outputscale - q.trace().item()
        self.bound = (likelihood - trace / (2 * gp.noise_ratio)) / len(codes)
        sigma = k_mm + k_mn @ k_mn.T / gp.noise_ratio
        self.weights = torch.linalg.solve(sigma, k_mn @ targets) / gp.noise_ratio
        self.middle = torch.linalg.inv(k_mm) - torch.linalg.inv(sigma)

    def kernel(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return covariance(a, b, self.gp.lengthscale, self.gp.outputscale)

    def predict(self, z: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        cross = self.kernel(self.gp.inducing, z)
        posterior = self.kernel(z, z) - cross.T @ self.middle @ cross
        return self.gp.location + self.gp.scale * (cross.T @ self.weights), self.gp.scale**2 * posterior


@pytest.mark.parametrize("kernel", ["rbf", "ard"])
@pytest.mark.parametrize("inducing", [1, 12, 40])
def test_bound_and_posterior_are_those_of_dense_formulas(
    kernel: Kernel, inducing: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "_ROWS", 17)  # several parts, the last one smaller
    codes, values = data(60)
    gp = fit_sparse(codes, values, inducing, kernel, max_steps=5, rng=rng())
    assert gp.lengthscale.shape == ((3,) if kernel == "ard" else (1,))
    dense = Dense(gp, codes, values)
    assert gp.bound == pytest.approx(dense.bound, abs=1e-6)
    z = torch.cat([codes[:5], data(20, seed=7)[0]])
    mean, covariances = dense.predict(z)
    joint = gp.posterior(z)
    torch.testing.assert_close(joint.mean, mean, rtol=1e-5, atol=1e-5)
    columns = torch.stack([joint.column(j) for j in range(len(z))], 1)
    torch.testing.assert_close(columns, covariances, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(joint.variance, covariances.diagonal(), rtol=1e-5, atol=1e-5)
    predicted, std = gp.predict(z)
    torch.testing.assert_close(predicted, joint.mean)
    torch.testing.assert_close(std.square(), joint.variance)


def test_with_a_point_for_each_value_it_is_the_exact_process() -> None:
    codes, values = data(40)
    gp = fit_sparse(codes, values, inducing=500)
    torch.testing.assert_close(gp.inducing, codes)
    noisy = covariance(codes, codes, gp.lengthscale, gp.outputscale) + gp.noise_ratio * torch.eye(40)
    targets = (values - values.mean()) / values.std(correction=0)
    exact = multivariate_normal(np.zeros(40), noisy.numpy()).logpdf(targets.numpy()) / 40
    assert gp.bound == pytest.approx(exact, abs=1e-4)
    z = data(15, seed=3)[0]
    cross = covariance(codes, z, gp.lengthscale, gp.outputscale)
    mean = values.mean() + values.std(correction=0) * (cross.T @ torch.linalg.solve(noisy, targets))
    variance = gp.outputscale - (cross * torch.linalg.solve(noisy, cross)).sum(0)
    predicted, std = gp.predict(z)
    torch.testing.assert_close(predicted, mean, rtol=0, atol=1e-3)
    torch.testing.assert_close(std, values.std(correction=0) * variance.sqrt(), rtol=0, atol=1e-3)


@pytest.mark.parametrize("lengths", [1, 3])
def test_gradient_of_the_bound_is_that_of_finite_differences(lengths: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "_ROWS", 17)
    codes, values = data(50)
    bound = Bound(codes, (values - values.mean()) / values.std(), 6, lengths)
    at = np.concatenate([np.full(lengths, -0.2), [0.3, -1.5], codes[:6].flatten().numpy() + 0.1])
    _, gradient = bound(at)
    for i in range(len(at)):
        step = np.zeros_like(at)
        step[i] = 1e-5
        assert gradient[i] == pytest.approx((bound(at + step)[0] - bound(at - step)[0]) / 2e-5, abs=1e-7)


def test_bound_is_finite_wherever_hyperparameters_may_go() -> None:
    centres = torch.randn(5, 4, generator=rng(), dtype=torch.float64)
    codes = centres[torch.arange(300) % 5]  # equal codes: the correlations are singular
    bound = Bound(codes, torch.randn(300, generator=rng(), dtype=torch.float64), 20, 1)
    for corner in range(8):
        logs = [limits[corner >> k & 1] for k, limits in enumerate(LIMITS)]
        loss, gradient = bound(np.concatenate([logs, codes[:20].flatten().numpy()]))
        assert math.isfinite(loss)
        assert np.isfinite(gradient).all()


def test_predictions_are_differentiable() -> None:
    codes, values = data(80)
    gp = fit_sparse(codes, values, 10, max_steps=10, rng=rng())
    z = data(4, seed=5)[0].requires_grad_()
    assert torch.autograd.gradcheck(lambda z: gp.predict(z), (z,))


def test_fit_reaches_a_plateau_and_finds_function_and_noise() -> None:
    codes, values = data(600, noise=0.3)
    seen: list[tuple[int, float]] = []

    class Told(Progress):
        def update(self, completed: int, **shown: float) -> None:
            seen.append((completed, shown["bound"]))

    gp = fit_sparse(codes, values, 40, "ard", rng=rng(), progress=Told())
    assert gp.converged
    assert gp.steps <= 200
    reached = [bound for _, bound in seen]
    assert reached == sorted(reached)
    assert gp.bound == pytest.approx(reached[-1], abs=1e-9)
    assert reached[-1] - reached[-11] < PLATEAU <= reached[-2] - reached[-12]
    assert math.sqrt(gp.noise) == pytest.approx(0.9, rel=0.1)
    assert gp.lengthscale[2] > 5 * gp.lengthscale[0]  # the third dimension has no say
    fresh, _ = data(300, seed=9)
    mean, std = gp.predict(fresh)
    truth = 5 + 3 * (torch.sin(2 * fresh[:, 0]) + fresh[:, 1])
    assert (mean - truth).square().mean().sqrt() < 0.35
    assert ((mean - truth).abs() < 2 * std).double().mean() > 0.8


def test_fit_that_is_stopped_says_so() -> None:
    gp = fit_sparse(*data(200), 20, max_steps=4, rng=rng())
    assert not gp.converged
    assert 4 <= gp.steps < 30  # the last line search is finished


def test_of_many_values_a_sample_is_fitted_first(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Bound] = []

    class Noted(Bound):
        def __init__(self, points: torch.Tensor, targets: torch.Tensor, inducing: int, lengths: int) -> None:
            super().__init__(points, targets, inducing, lengths)
            made.append(self)

    monkeypatch.setattr(sparse, "Bound", Noted)
    codes, values = data(400)
    fit_sparse(codes[:199], values[:199], 10, max_steps=20, rng=rng())
    both = fit_sparse(codes, values, 10, rng=rng())
    assert [len(bound.points) for bound in made] == [199, 100, 400]
    assert both.converged
    assert both.steps == made[1].evaluations + made[2].evaluations


def test_shifted_and_scaled_values_are_predicted_so() -> None:
    codes, values = data(150)
    one, other = (fit_sparse(codes, v, 15, rng=rng()) for v in (values, 100 - 7 * values))
    z = data(10, seed=2)[0]
    torch.testing.assert_close(other.predict(z)[0], 100 - 7 * one.predict(z)[0], rtol=1e-3, atol=1e-2)
    assert other.noise == pytest.approx(49 * one.noise, rel=1e-2)


def test_generator_decides() -> None:
    codes, values = data(150)
    one, same = (fit_sparse(codes, values, 8, max_steps=3, rng=rng()) for _ in range(2))
    other = fit_sparse(codes, values, 8, max_steps=3, rng=torch.Generator().manual_seed(2))
    assert torch.equal(one.inducing, same.inducing)
    assert not torch.equal(one.inducing, other.inducing)


@pytest.mark.parametrize("n", [1, 2, 30])
def test_equal_codes_and_equal_values_are_no_trouble(n: int) -> None:
    codes = torch.ones(n, 4, dtype=torch.float64)
    gp = fit_sparse(codes, torch.full((n,), 2.5), 10, rng=rng())
    mean, std = gp.predict(torch.cat([codes[:1], codes[:1] + 1]))
    torch.testing.assert_close(mean, torch.full((2,), 2.5, dtype=torch.float64))
    assert std.isfinite().all()
    assert (std > 0).all()


def test_float32_codes_are_computed_with_in_float64() -> None:
    codes, values = data(50)
    gp = fit_sparse(codes.float(), values.float(), 10, max_steps=3, rng=rng())
    assert gp.inducing.dtype == torch.float64
