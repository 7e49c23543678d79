import math
import warnings

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from dimecli.search.gp import _LENGTH, _NOISE, _OUTPUT, ExactGP, fit_gp
from dimecli.search.kernels import Kernel, distance_scale

with warnings.catch_warnings():
    warnings.simplefilter("ignore", FutureWarning)  # gpytorch compiles with torch.jit.script
    import gpytorch


def sphere(n: int, size: int, seed: int = 0) -> torch.Tensor:
    rng = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(n, size, generator=rng, dtype=torch.float64), dim=1)


def data(n: int, size: int, seed: int = 0, noise: float = 0.1) -> tuple[torch.Tensor, torch.Tensor]:
    codes = sphere(n, size, seed)
    rng = torch.Generator().manual_seed(seed + 1)
    values = 3 * (2 * codes[:, 0]).sin() + codes[:, 1] + noise * torch.randn(n, generator=rng, dtype=torch.float64)
    return codes, values


class Reference(gpytorch.models.ExactGP):  # type: ignore[misc]
    """GPyTorch's process with the hyperparameters of ours."""

    def __init__(self, ours: ExactGP) -> None:
        likelihood = gpytorch.likelihoods.GaussianLikelihood()
        super().__init__(ours.codes, ours.targets, likelihood)
        dims = len(ours.lengthscale) if len(ours.lengthscale) > 1 else None
        self.mean_module = gpytorch.means.ConstantMean()
        self.covar_module = gpytorch.kernels.ScaleKernel(gpytorch.kernels.RBFKernel(ard_num_dims=dims))
        self.double()
        self.covar_module.outputscale = ours.outputscale
        self.covar_module.base_kernel.lengthscale = ours.lengthscale
        likelihood.noise = ours.noise_ratio
        covariance = self.covar_module(ours.codes).to_dense() + ours.noise_ratio * torch.eye(len(ours.codes))
        ones = torch.ones_like(ours.targets)
        solved = torch.linalg.solve(covariance, ones)
        self.mean_module.constant = (solved @ ours.targets / (solved @ ones)).item()
        self.eval()

    def forward(self, z: torch.Tensor) -> gpytorch.distributions.MultivariateNormal:
        return gpytorch.distributions.MultivariateNormal(self.mean_module(z), self.covar_module(z))


@pytest.mark.parametrize("kernel", ["rbf", "ard"])
def test_predictions_are_those_of_gpytorch(kernel: Kernel) -> None:
    gp = fit_gp(*data(60, 5), kernel)
    z = torch.cat([sphere(20, 5, 9), gp.codes[:5]])
    with gpytorch.settings.fast_computations(False, False, False), torch.no_grad():
        reference = Reference(gp)(z)
    joint = gp.posterior(z)
    mean, std = gp.predict(z)
    torch.testing.assert_close(mean, gp.location + gp.scale * reference.mean, rtol=1e-6, atol=1e-8)
    covariance = gp.scale**2 * reference.covariance_matrix
    torch.testing.assert_close(std.square(), covariance.diagonal(), rtol=1e-5, atol=1e-8)
    torch.testing.assert_close(joint.variance, std.square())
    columns = torch.stack([joint.column(j) for j in range(len(z))], 1)
    torch.testing.assert_close(columns, covariance, rtol=1e-5, atol=1e-8)


def log_density(gp: ExactGP, lengthscale: torch.Tensor, outputscale: float, noise: float) -> float:
    """The log posterior density of hyperparameters, by dense algebra, with the best constant mean."""
    points = gp.codes / lengthscale
    covariance = outputscale * torch.exp(-0.5 * torch.cdist(points, points).square())
    covariance += noise * torch.eye(len(points), dtype=points.dtype)
    ones = torch.ones_like(gp.targets)
    solved = torch.linalg.solve(covariance, ones)
    mean = solved @ gp.targets / (solved @ ones)
    evidence = torch.distributions.MultivariateNormal(mean * ones, covariance).log_prob(gp.targets)
    relative = lengthscale / distance_scale(gp.codes, "rbf" if len(lengthscale) == 1 else "ard")
    priors = ((_LENGTH, relative), (_OUTPUT, torch.tensor(outputscale)), (_NOISE, torch.tensor(noise)))
    densities = (torch.distributions.LogNormal(*prior).log_prob(value).sum() for prior, value in priors)
    return float(evidence + sum(densities))


@pytest.mark.parametrize("kernel", ["rbf", "ard"])
def test_hyperparameters_are_at_an_optimum(kernel: Kernel) -> None:
    gp = fit_gp(*data(80, 3), kernel)
    best = log_density(gp, gp.lengthscale, gp.outputscale, gp.noise_ratio)
    for factor in (0.8, 1.25):
        for index in range(len(gp.lengthscale)):
            other = gp.lengthscale.clone()
            other[index] *= factor
            assert log_density(gp, other, gp.outputscale, gp.noise_ratio) < best
        assert log_density(gp, gp.lengthscale, factor * gp.outputscale, gp.noise_ratio) < best
        assert log_density(gp, gp.lengthscale, gp.outputscale, factor * gp.noise_ratio) < best


@pytest.mark.parametrize("kernel", ["rbf", "ard"])
def test_it_learns_a_smooth_function_and_its_noise(kernel: Kernel) -> None:
    gp = fit_gp(*data(150, 4, noise=0.3), kernel)
    z, truth = data(300, 4, seed=5, noise=0.0)
    mean, std = gp.predict(z)
    assert (mean - truth).square().mean().sqrt() < 0.25
    assert ((mean - truth).abs() < 2 * std).double().mean() > 0.8
    assert 0.2 < math.sqrt(gp.noise) < 0.4


def test_relevance_is_found() -> None:
    lengthscale = fit_gp(*data(150, 4), "ard").lengthscale
    assert lengthscale[2:].min() > 2 * lengthscale[:2].max()


def test_an_optimum_without_noise_does_not_hide_the_smooth_one() -> None:
    codes, values = data(60, 3)
    values[7] = -6.0  # one that counts as the worst
    gp = fit_gp(codes, values)
    mean, _ = gp.predict(codes)
    assert (mean - values)[codes[:, 0] > 0].abs().median() < 0.5
    assert gp.lengthscale.item() > 0.5


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    n=st.integers(1, 12),
    size=st.integers(1, 6),
    seed=st.integers(0, 99),
    kernel=st.sampled_from(["rbf", "ard"]),
    kind=st.sampled_from(["normal", "constant", "outlier", "huge", "equal codes"]),
)
def test_whatever_the_values_it_is_finite(n: int, size: int, seed: int, kernel: Kernel, kind: str) -> None:
    codes, rng = sphere(n, size, seed), torch.Generator().manual_seed(seed)
    values = {
        "constant": torch.full((n,), -4.25).double(),
        "outlier": torch.cat([torch.full((n - 1,), 0.4), torch.tensor([-6.9])]).double(),
        "huge": 1e12 * torch.randn(n, generator=rng, dtype=torch.float64),
    }.get(kind, torch.randn(n, generator=rng, dtype=torch.float64))
    codes = codes[:1].expand(n, -1) if kind == "equal codes" else codes
    gp = fit_gp(codes, values, kernel)
    joint = gp.posterior(torch.cat([codes, sphere(5, size, seed + 1)]))
    assert joint.mean.isfinite().all()
    assert (joint.variance > 0).all()
    assert gp.noise > 0
    assert joint.mean.min() >= values.min() - 3 * gp.scale
    assert joint.mean.max() <= values.max() + 3 * gp.scale


def test_it_does_not_care_about_the_unit_of_values_and_flat_codes() -> None:
    codes, values = data(50, 3)
    gp, other = fit_gp(codes, values), fit_gp(1000 * codes + 5, 1e-3 * values - 7)
    z = sphere(10, 3, 4)
    mean, std = gp.predict(z)
    other_mean, other_std = other.predict(1000 * z + 5)
    torch.testing.assert_close(other_mean, 1e-3 * mean - 7, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(other_std, 1e-3 * std, rtol=1e-3, atol=1e-7)


def test_on_the_sphere_the_kernel_is_that_of_von_mises_and_fisher() -> None:
    gp = fit_gp(*data(30, 4))
    a, b = sphere(2, 4, 7)
    k = 1 / gp.lengthscale.item() ** 2
    far = ExactGP(-a[None], torch.zeros(1).double(), 0.0, 1.0, gp.lengthscale * 1.0, 2.0, 1e8)  # tells nothing
    covariance = far.posterior(torch.stack([a, b])).column(0)[1].item()
    assert covariance == pytest.approx(2 * math.exp(k * ((a @ b).item() - 1)), rel=1e-4)


def test_predictions_have_gradients() -> None:
    gp = fit_gp(*data(30, 3))
    z = sphere(4, 3, 3).requires_grad_()
    assert torch.autograd.gradcheck(lambda z: gp.predict(z), (z,))


def test_of_many_values_it_takes_the_best(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dimecli.search.gp.MOST", 7)
    codes, values = data(30, 3)
    gp = fit_gp(codes, values, "ard")
    known = (gp.location + gp.scale * gp.targets).sort().values
    torch.testing.assert_close(known, values.sort().values[-7:])
    assert gp.lengthscale.shape == (3,)
