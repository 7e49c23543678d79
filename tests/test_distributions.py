from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from safetensors.torch import load, save
from scipy import stats
from torch import distributions as td

from dimecli.distributions import GaussianMixture, HypersphereUniform, StandardNormal, Tempered, check_codes
from dimecli.errors import DimeError

SIGMAS = 5.5  # every test below has a fixed seed and asks many questions


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def mixture(components: int, size: int, dtype: torch.dtype = torch.float64, seed: int = 0) -> GaussianMixture:
    g = rng(seed)
    factors = torch.randn(components, size, size, generator=g, dtype=torch.float64)
    covariances = factors @ factors.mT / size + 0.2 * torch.eye(size).double()
    weights = torch.rand(components, generator=g, dtype=torch.float64) + 0.2
    means = 2 * torch.randn(components, size, generator=g, dtype=torch.float64)
    return GaussianMixture.from_covariances(weights / weights.sum(), means, covariances, torch.empty(0, dtype=dtype))


def reference(mixture: GaussianMixture) -> td.MixtureSameFamily:
    normal = td.MultivariateNormal(mixture.means.double(), scale_tril=mixture.scale_trils.double())
    return td.MixtureSameFamily(td.Categorical(mixture.weights.double()), normal)


def check_mean(samples: torch.Tensor, mean: torch.Tensor) -> None:
    """A z-test of every coordinate."""
    error = samples.std(0) / math.sqrt(len(samples))
    assert ((samples.mean(0) - mean).abs() < SIGMAS * error).all()


def check_covariance(samples: torch.Tensor, mean: torch.Tensor, covariance: torch.Tensor) -> None:
    """A z-test of every product of two coordinates."""
    deviation = samples - mean
    products = deviation[:, :, None] * deviation[:, None, :]
    check_mean(products.flatten(1), covariance.flatten())


@pytest.mark.parametrize("size", [1, 2, 16, 64])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_standard_normal_log_prob(size: int, dtype: torch.dtype) -> None:
    z = 3 * torch.randn(20, size, generator=rng(), dtype=dtype)
    expected = td.Normal(torch.zeros(size, dtype=dtype), 1).log_prob(z).sum(1)
    torch.testing.assert_close(StandardNormal(size).log_prob(z), expected)


@pytest.mark.parametrize("temperature", [1.0, 0.5, 2.0])
def test_standard_normal_samples(temperature: float) -> None:
    normal = StandardNormal(4).tempered(temperature)
    samples = normal.sample(20_000, rng())
    assert samples.dtype == torch.float32
    check_mean(samples, torch.zeros(4))
    check_covariance(samples, torch.zeros(4), temperature**2 * torch.eye(4))
    torch.testing.assert_close(normal.log_prob(samples), StandardNormal(4).log_prob(samples))


@pytest.mark.parametrize("size", [1, 2, 3, 4, 16, 64, 128, 511, 512])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_sphere_log_prob_is_minus_log_area(size: int, dtype: torch.dtype) -> None:
    log_area = math.log(2 if size % 2 else 2 * math.pi)  # area of S^0 or S^1
    for dimension in range(4 - size % 2, size + 1, 2):  # area of S^(l-1) = area of S^(l-3) times 2 pi / (l - 2)
        log_area += math.log(2 * math.pi / (dimension - 2))
    z = HypersphereUniform(size).sample(3, rng()).to(dtype)
    log_prob = HypersphereUniform(size).log_prob(z)
    assert log_prob.dtype == dtype
    torch.testing.assert_close(log_prob, torch.full((3,), -log_area, dtype=dtype))


@pytest.mark.parametrize("size", [2, 3, 10])
def test_sphere_log_prob_is_that_of_an_unconcentrated_von_mises_fisher(size: int) -> None:
    z = HypersphereUniform(size).sample(5, rng()).double()
    z /= z.norm(dim=1, keepdim=True)
    expected = stats.vonmises_fisher(np.eye(size)[0], 1e-9).logpdf(z.numpy())
    np.testing.assert_allclose(HypersphereUniform(size).log_prob(z), expected, rtol=1e-6)


@pytest.mark.parametrize("size", [2, 3, 16, 128])
def test_sphere_samples_are_uniform(size: int) -> None:
    samples = HypersphereUniform(size).sample(5_000, rng(1))
    torch.testing.assert_close(samples.norm(dim=1), torch.ones(5_000))
    check_mean(samples, torch.zeros(size))
    direction = torch.nn.functional.normalize(torch.randn(size, generator=rng(2)), dim=0)
    half = (size - 1) / 2  # a coordinate in [-1, 1] has a Beta distribution (Mardia and Jupp, 9.3.1)
    assert stats.kstest(((samples @ direction) + 1) / 2, stats.beta(half, half).cdf).pvalue > 1e-3


@pytest.mark.parametrize(("components", "size"), [(1, 1), (1, 64), (3, 2), (10, 16)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_mixture_log_prob(components: int, size: int, dtype: torch.dtype) -> None:
    fitted = mixture(components, size, dtype)
    z = 4 * torch.randn(30, size, generator=rng(), dtype=dtype)
    log_prob = fitted.log_prob(z)
    assert log_prob.dtype == dtype
    torch.testing.assert_close(log_prob, reference(fitted).log_prob(z.double()).to(dtype))


def test_mixture_integrates_to_one() -> None:
    axis = torch.linspace(-14, 14, 400, dtype=torch.float64)
    grid = torch.cartesian_prod(axis, axis)
    total = mixture(3, 2).log_prob(grid).exp().sum() * (axis[1] - axis[0]) ** 2
    assert total.item() == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize(("components", "size"), [(1, 1), (1, 6), (4, 3)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_mixture_samples_have_its_moments(components: int, size: int, dtype: torch.dtype) -> None:
    fitted = mixture(components, size, dtype)
    samples = fitted.sample(20_000, rng(3))
    assert samples.dtype == dtype
    mean = fitted.weights @ fitted.means
    spread = fitted.means - mean
    within = fitted.scale_trils @ fitted.scale_trils.mT
    covariance = (fitted.weights[:, None, None] * (within + spread[:, :, None] * spread[:, None, :])).sum(0)
    check_mean(samples, mean)
    check_covariance(samples, mean, covariance)


@pytest.mark.parametrize("temperature", [0.3, 1.0, 1.5])
def test_temperature_scales_each_component_alone(temperature: float) -> None:
    apart = torch.tensor([[-100.0, 0.0], [100.0, 0.0]])
    covariances = torch.tensor([[[2.0, 1.0], [1.0, 2.0]], [[1.0, 0.0], [0.0, 0.5]]])
    fitted = GaussianMixture.from_covariances(torch.tensor([0.3, 0.7]), apart, covariances, apart)
    warm = fitted.tempered(temperature)
    samples = warm.sample(20_000, rng())
    for k, side in enumerate((samples[:, 0] < 0, samples[:, 0] > 0)):
        assert abs(side.double().mean() - fitted.weights[k]) < SIGMAS * math.sqrt(0.21 / 20_000)
        check_mean(samples[side], apart[k])
        check_covariance(samples[side], apart[k], temperature**2 * covariances[k])
    assert torch.equal(warm.log_prob(samples), fitted.log_prob(samples))
    assert warm.state().keys() == fitted.state().keys()


def test_samples_are_not_ordered_by_component() -> None:
    apart = torch.tensor([[-100.0], [100.0]])
    samples = GaussianMixture(torch.tensor([0.5, 0.5]), apart, torch.ones(2, 1, 1)).sample(4_000, rng())
    right = samples[:, 0] > 0
    share = right.double().mean().item()
    runs = 1 + (right[1:] != right[:-1]).sum().item()  # Wald and Wolfowitz
    expected = 1 + 2 * 4_000 * share * (1 - share)
    deviation = math.sqrt((expected - 1) * (expected - 2) / (4_000 - 1))
    assert abs(runs - expected) < 4 * deviation


@pytest.mark.parametrize("distribution", [StandardNormal(5), HypersphereUniform(5), mixture(3, 5, torch.float32)])
def test_the_seed_alone_decides(distribution: StandardNormal | HypersphereUniform | GaussianMixture) -> None:
    before = torch.random.get_rng_state()
    first = distribution.sample(50, rng(1))
    assert torch.equal(first, distribution.sample(50, rng(1)))
    assert not torch.equal(first, distribution.sample(50, rng(2)))
    generator = rng(1)
    assert not torch.equal(distribution.sample(50, generator), distribution.sample(50, generator))
    assert torch.equal(before, torch.random.get_rng_state())


def test_a_mixture_survives_a_file() -> None:
    fitted = mixture(3, 5, torch.float32)
    fitted = GaussianMixture(fitted.weights, fitted.means, fitted.scale_trils, record={"converged": torch.tensor(True)})
    restored = GaussianMixture.from_state(load(save(fitted.state())))
    assert torch.equal(restored.sample(20, rng()), fitted.sample(20, rng()))
    assert torch.equal(restored.log_prob(fitted.means), fitted.log_prob(fitted.means))
    assert restored.record["converged"].item() is True


@pytest.mark.parametrize("size", [2, 16, 128])
@pytest.mark.parametrize("rank", [0, 1])
def test_a_singular_covariance_gets_the_least_variance_beside_its_subspace(size: int, rank: int) -> None:
    direction = torch.nn.functional.normalize(torch.randn(size, generator=rng(), dtype=torch.float64), dim=0)
    singular = torch.outer(direction, direction) if rank else torch.diag((torch.arange(size) > 0).double())
    one = torch.ones(1).double()
    fitted = GaussianMixture.from_covariances(one, torch.zeros(1, size).double(), singular[None], one)
    added = fitted.scale_trils[0] @ fitted.scale_trils[0].T - singular
    least = 1e-10 * singular.trace() / size
    torch.testing.assert_close(added, least * torch.eye(size).double(), rtol=1e-2, atol=2e-16)


def test_a_regular_covariance_is_left_alone() -> None:
    covariance = torch.tensor([[[2.0, 0.5], [0.5, 1e-6]]]).double() + torch.diag(torch.tensor([0, 0.25])).double()
    one = torch.ones(1).double()
    fitted = GaussianMixture.from_covariances(one, torch.zeros(1, 2).double(), covariance, one)
    torch.testing.assert_close(fitted.scale_trils @ fitted.scale_trils.mT, covariance, rtol=1e-14, atol=0)


def test_only_what_has_a_standard_deviation_has_a_temperature() -> None:
    assert isinstance(StandardNormal(2), Tempered)
    assert isinstance(mixture(1, 2), Tempered)
    assert not isinstance(HypersphereUniform(2), Tempered)


@pytest.mark.parametrize(
    ("codes", "wrong"),
    [
        (torch.tensor([[0.0, 1.0], [math.nan, 1.0]]), "NaN or infinite"),
        (torch.tensor([[0.0, 1.0], [math.inf, 1.0]]), "NaN or infinite"),
        (torch.full((5, 3), 0.1), "all the same"),
        (torch.zeros(1, 3), "all the same"),
    ],
)
def test_codes_that_no_density_fits(codes: torch.Tensor, wrong: str) -> None:
    with pytest.raises(DimeError, match=wrong):
        check_codes(codes)
    check_codes(torch.tensor([[0.0, 1.0], [0.0, 2.0]]))
