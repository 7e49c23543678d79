"""The von Mises-Fisher distribution against mpmath, scipy, quadrature and Monte Carlo."""

import importlib
import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from scipy.special import ive
from scipy.stats import kstest, vonmises_fisher

from dimecli.distributions import HypersphereUniform
from dimecli.nn.vmf import VonMisesFisher, concentration_of, log_partition

mpmath: Any = importlib.import_module("mpmath")  # a dependency of torch, without types
SIZES = [2, 3, 10, 16, 64, 128, 512, 1024]
CONCENTRATIONS = [1e-2, 0.3, 1.0, 7.0, 50.0, 1e3, 1e5]
SIGMAS = 5.0  # every test below has a fixed seed and asks many questions


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def directions(count: int, size: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return F.normalize(torch.randn(count, size, generator=rng(9), dtype=torch.float64), dim=1).to(dtype)


def vmf(count: int, size: int, kappa: float, dtype: torch.dtype = torch.float64) -> VonMisesFisher:
    """The same distribution in every row."""
    direction = directions(1, size, dtype).expand(count, size)
    return VonMisesFisher(direction, torch.full((count,), kappa, dtype=dtype))


def exact(kappa: float, size: int) -> tuple[float, float, float, float]:
    """log Z, A, A' and the divergence from the uniform law, with 50 digits."""
    with mpmath.workdps(50):
        order, k = mpmath.mpf(size) / 2 - 1, mpmath.mpf(kappa)
        bessel, following = mpmath.besseli(order, k), mpmath.besseli(order + 1, k)
        log_z = mpmath.loggamma(order + 1) + order * mpmath.log(2 / k) + mpmath.log(bessel)
        mean = following / bessel
        slope = 1 - mean**2 - (size - 1) * mean / k
        return float(log_z), float(mean), float(slope), float(k * mean - log_z)


@pytest.mark.parametrize("size", SIZES)
def test_log_partition_and_its_derivatives_are_those_of_mpmath(size: int) -> None:
    for kappa in CONCENTRATIONS:
        k = torch.tensor(kappa, dtype=torch.float64, requires_grad=True)
        log_z, mean = log_partition(k, size)
        (first,) = torch.autograd.grad(log_z, k, retain_graph=True)
        (second,) = torch.autograd.grad(mean, k, retain_graph=True)
        expected = exact(kappa, size)
        assert log_z.item() == pytest.approx(expected[0], rel=1e-8)
        assert mean.item() == pytest.approx(expected[1], rel=1e-10)
        assert first.item() == pytest.approx(expected[1], rel=1e-10)
        assert second.item() == pytest.approx(expected[2], rel=1e-9)


@pytest.mark.parametrize("size", SIZES)
def test_log_partition_is_scipys_where_scipy_has_one(size: int) -> None:
    kappa = torch.tensor([k for k in CONCENTRATIONS if ive(size / 2 - 1, k) > 1e-290], dtype=torch.float64)
    order = size / 2 - 1
    expected = [math.lgamma(order + 1) + order * math.log(2 / k) + math.log(ive(order, k)) + k for k in kappa.tolist()]
    assert log_partition(kappa, size)[0].tolist() == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_no_concentration_is_the_uniform_law() -> None:
    log_z, mean = log_partition(torch.zeros(2, dtype=torch.float64), 5)
    assert [*log_z.tolist(), *mean.tolist()] == pytest.approx([0] * 4, abs=1e-15)
    q = vmf(3, 5, 0.0)
    z = directions(3, 5)
    torch.testing.assert_close(q.log_prob(z), HypersphereUniform(5).log_prob(z))
    for size in (2, 5):
        q = vmf(2_000, size, 0.0)
        q.concentration.requires_grad_()
        (slope,) = torch.autograd.grad((q.sample(rng()) * q.direction).sum(), q.concentration)
        assert slope.mean().item() == pytest.approx(1 / size, rel=0.1)  # of A at 0


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_kl_is_finite_monotone_and_exact_in_every_dimension(size: int, dtype: torch.dtype) -> None:
    """Bessel functions in float32 give NaN from 100 dimensions on, and their gradients from 64."""
    kappa = torch.logspace(-2, 5, 141, dtype=dtype).requires_grad_()
    kl = VonMisesFisher(torch.zeros(141, size, dtype=dtype), kappa).kl()
    (gradient,) = torch.autograd.grad(kl.sum(), kappa)
    assert kl.dtype == gradient.dtype == dtype
    assert kl.isfinite().all()
    assert (kl.diff() > 0).all()
    assert kl[0] > 0
    assert (gradient > 0).all()
    for index in (0, 40, 90, 140):
        k = kappa[index].item()
        _, _, slope, expected = exact(k, size)
        tolerance = 1e-5 if dtype == torch.float32 or k < 0.1 else 1e-9
        assert kl[index].item() == pytest.approx(expected, rel=tolerance)
        assert gradient[index].item() == pytest.approx(k * slope, rel=tolerance)


@pytest.mark.parametrize("size", [3, 64, 512])
def test_kl_gradient_is_the_finite_difference(size: int) -> None:
    for kappa in (0.5, 10.0, 1e3):
        step = 1e-4 * kappa
        k = torch.tensor([kappa - step, kappa, kappa + step], dtype=torch.float64, requires_grad=True)
        kl = VonMisesFisher(torch.zeros(3, size), k).kl()
        (gradient,) = torch.autograd.grad(kl[1], k, retain_graph=True)
        assert gradient[1].item() == pytest.approx((kl[2] - kl[0]).item() / (2 * step), rel=1e-5)


@pytest.mark.parametrize("size", [2, 3, 10, 64])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_log_prob_is_scipys(size: int, dtype: torch.dtype) -> None:
    for kappa in (0.5, 20.0, 1e3):
        z = directions(6, size)
        q = VonMisesFisher(directions(6, size, dtype).roll(1, 0), torch.full((6,), kappa, dtype=dtype))
        expected = [vonmises_fisher(mu, kappa).logpdf(x) for mu, x in zip(q.direction.double().numpy(), z, strict=True)]
        torch.testing.assert_close(
            q.log_prob(z.to(dtype)).double(),
            torch.tensor(expected, dtype=torch.float64).view(6),
            rtol=1e-6,
            atol=1e-9 if dtype == torch.float64 else 1e-6 * kappa,
        )


@pytest.mark.parametrize("size", [3, 16, 64, 128, 512])
@pytest.mark.parametrize("kappa", [1.0, 10.0, 1e3, 1e5])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_mean_cosine_of_samples_is_the_ratio_of_bessel_functions(size: int, kappa: float, dtype: torch.dtype) -> None:
    """Also at 1e5, where rejection constants that cancel give 0, and beyond 10 in many dimensions."""
    count = 4_000
    q = vmf(count, size, kappa, dtype)
    z = q.sample(rng())
    assert z.dtype == dtype
    torch.testing.assert_close(z.norm(dim=1), torch.ones(count, dtype=dtype))
    gap = (z - q.direction).double().square().sum(1) / 2
    _, mean, slope, _ = exact(kappa, size)
    assert abs(gap.mean().item() - (1 - mean)) < SIGMAS * math.sqrt(slope / count)  # A' is the cosine's variance
    spread = gap.var().item()
    assert spread == pytest.approx(slope, rel=SIGMAS * math.sqrt(8 / count))  # a kurtosis of 9 or less


@pytest.mark.parametrize("size", [2, 3, 10, 64])
def test_sampled_cosines_have_the_distribution(size: int) -> None:
    """Kolmogorov and Smirnov's test against the cumulated density of the angle."""
    for kappa in (0.5, 10.0, 500.0):
        q = vmf(3_000, size, kappa)
        angle = torch.linspace(0, math.pi, 200_001, dtype=torch.float64)
        density = (kappa * (angle.cos() - 1)).exp() * angle.sin() ** (size - 2)
        cumulated = torch.cumulative_trapezoid(density, angle)
        cumulated = torch.cat([cumulated.new_zeros(1), cumulated / cumulated[-1]])
        cosine = (q.sample(rng(4)) * q.direction).sum(1).clamp(-1, 1)
        index = (cosine.acos() / math.pi * 200_000).long()
        assert kstest(cumulated[index].numpy(), "uniform").pvalue > 1e-4


@pytest.mark.parametrize("size", [2, 3, 10])
def test_samples_are_symmetric_around_any_direction(size: int) -> None:
    """Also around +-e1, where the reflection that is in common use divides by 0."""
    axis = torch.zeros(size, dtype=torch.float64)
    axis[0] = 1
    nearly = F.normalize(axis + 1e-9, dim=0)
    for direction in (axis, -axis, nearly, -nearly, directions(1, size)[0]):
        q = VonMisesFisher(
            direction.expand(4_000, size).clone().requires_grad_(),
            torch.full((4_000,), 3.0, dtype=torch.float64, requires_grad=True),
        )
        z = q.sample(rng(2))
        error = z.std(0) / math.sqrt(len(z))
        assert ((z.mean(0) - exact(3.0, size)[1] * direction).abs() < SIGMAS * error).all()
        across = z - (z @ direction)[:, None] * direction
        share = across.square().sum(1).mean() / (size - 1)
        expected = share * (torch.eye(size, dtype=torch.float64) - torch.outer(direction, direction))
        torch.testing.assert_close(across.T @ across / len(z), expected, rtol=0, atol=0.05)
        assert all(g.isfinite().all() for g in torch.autograd.grad(z.square().sum() + z.sum(), q))


@pytest.mark.parametrize("size", [2, 3, 10, 64])
@pytest.mark.parametrize("kappa", [1.0, 10.0, 300.0])
def test_gradient_of_samples_is_that_of_the_expectation(size: int, kappa: float) -> None:
    """By concentration: dE[w]/dkappa = A' and dE[w^2]/dkappa, within Monte Carlo error.

    The gradient of accepted proposals alone is 20 % too small at kappa = 1 in 3 dimensions.
    """
    q = vmf(20_000, size, kappa)
    q.concentration.requires_grad_()
    cosine = (q.sample(rng(5)) * q.direction).sum(1)
    (first,) = torch.autograd.grad(cosine.sum(), q.concentration, retain_graph=True)
    (square,) = torch.autograd.grad(cosine.square().sum(), q.concentration)
    k = torch.tensor(kappa, dtype=torch.float64, requires_grad=True)
    second_moment = 1 - (size - 1) * log_partition(k, size)[1] / k  # of the cosine, from the recurrence of I
    (expected,) = torch.autograd.grad(second_moment, k)
    for drawn, value in ((first, exact(kappa, size)[2]), (square, expected.item())):
        assert abs(drawn.mean().item() - value) < SIGMAS * drawn.std().item() / math.sqrt(len(drawn))
    assert (first > 0).all()


def test_gradient_of_each_sample_is_that_of_its_quantile_in_closed_form() -> None:
    """In 3 dimensions F(w) = (exp(kappa w) - exp(-kappa)) / (exp(kappa) - exp(-kappa))."""
    for kappa in (0.5, 4.0, 60.0):
        q = vmf(200, 3, kappa)
        q.concentration.requires_grad_()
        w = (q.sample(rng(6)) * q.direction).sum(1)
        (slope,) = torch.autograd.grad(w.sum(), q.concentration)
        k = q.concentration.detach().clone().requires_grad_()
        quantile = (1 - (k * (w.detach() - 1)).exp()) / (1 - (-2 * k).exp())  # 1 - F
        (by_k,) = torch.autograd.grad(quantile.sum(), k)
        density = k.detach() * (k.detach() * (w.detach() - 1)).exp() / (1 - (-2 * k.detach()).exp())
        torch.testing.assert_close(slope, by_k / density, rtol=1e-7, atol=1e-12)


@pytest.mark.parametrize("size", [2, 3, 16])
def test_gradient_of_samples_by_direction_is_that_of_the_expectation(size: int) -> None:
    """E[v . z] = A v . mu, whose derivative along the sphere is A times the tangential part of v."""
    count, kappa = 20_000, 5.0
    mu, v = directions(2, size)
    raw = mu.expand(count, size).clone().requires_grad_()
    z = VonMisesFisher(F.normalize(raw, dim=1), torch.full((count,), kappa, dtype=torch.float64)).sample(rng(7))
    (gradient,) = torch.autograd.grad((z @ v).sum(), raw)
    expected = exact(kappa, size)[1] * (v - (v @ mu) * mu)
    error = gradient.std(0) / math.sqrt(count)
    assert ((gradient.mean(0) - expected).abs() < SIGMAS * error + 1e-12).all()


def test_samples_depend_on_the_generator_alone() -> None:
    q = vmf(50, 8, 20.0, torch.float32)
    torch.manual_seed(0)
    first = q.sample(rng(1))
    torch.manual_seed(1)
    assert torch.equal(q.sample(rng(1)), first)
    assert not torch.equal(q.sample(rng(2)), first)


def test_nan_ends_the_rejection_loop() -> None:
    assert vmf(4, 5, math.nan).sample(rng()).isnan().all()


@pytest.mark.parametrize("size", SIZES)
def test_concentration_of_a_mean_cosine(size: int) -> None:
    kappa = torch.tensor([*CONCENTRATIONS, 1e8], dtype=torch.float64)
    _, mean = log_partition(kappa, size)
    torch.testing.assert_close(concentration_of(1 - mean, size), kappa, rtol=1e-6, atol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("size", [2, 3, 16])
def test_log_probs_are_those_of_every_pair(size: int, dtype: torch.dtype) -> None:
    kappas = torch.tensor([0.5, 20.0, 1e4], dtype=dtype)
    laws, z = VonMisesFisher(directions(3, size, dtype), kappas), directions(5, size, dtype)
    each = [VonMisesFisher(laws.direction, kappas).log_prob(code.expand(3, size)) for code in z]
    assert laws.log_probs(z).dtype == torch.float64
    torch.testing.assert_close(laws.log_probs(z), torch.stack(each).double(), rtol=1e-6, atol=1e-6)
