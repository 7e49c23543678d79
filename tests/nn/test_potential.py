"""The log-potential against closed forms and a double loop in float64."""

import math

import pytest
import torch
from scipy.integrate import quad
from scipy.special import gammaln, ive

from dimecli.nn.potential import log_potential, uniform_log_potential

DTYPES = [torch.float32, torch.float64]


def brute_force(z: torch.Tensor, gamma: float) -> float:
    rows = z.double().tolist()
    pairs = [math.exp(-gamma * math.dist(a, b) ** 2) for i, a in enumerate(rows) for j, b in enumerate(rows) if i != j]
    return math.log(math.fsum(pairs) / len(pairs))


def theorem_3(size: int, gamma: float) -> float:
    """`log a(sigma, l)` with `k = 1/sigma^2 = 2 gamma`, by scipy's scaled Bessel function, which has the e^-k."""
    k, order = 2 * gamma, size / 2 - 1
    return float(gammaln(size / 2) + order * math.log(2 / k) + math.log(ive(order, k)))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("count", "size", "gamma"), [(2, 2, 2.0), (7, 3, 5e-3), (20, 16, 2.0), (33, 1, 0.5)])
def test_equals_the_double_loop_of_eq_6(dtype: torch.dtype, count: int, size: int, gamma: float) -> None:
    z = torch.randn(count, size, generator=torch.Generator().manual_seed(count), dtype=dtype)
    assert log_potential(z, gamma).item() == pytest.approx(brute_force(z, gamma), rel=1e-5, abs=2e-6)


@pytest.mark.parametrize("gamma", [5e-3, 2.0])
def test_identical_codes_give_zero(gamma: float) -> None:
    z = torch.nn.functional.normalize(torch.ones(10, 16), dim=1)
    assert log_potential(z, gamma).item() == pytest.approx(0, abs=2e-6)


@pytest.mark.parametrize("gamma", [5e-3, 2.0])
def test_antipodal_halves(gamma: float) -> None:
    count = 12
    z = torch.zeros(count, 4, dtype=torch.float64)
    z[:6, 0], z[6:, 0] = 1, -1
    same, other = 2 * math.comb(6, 2), 36
    expected = math.log((same + other * math.exp(-4 * gamma)) / math.comb(count, 2))
    assert log_potential(z, gamma).item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("size", "gamma"), [(16, 2.0), (16, 5e-3), (64, 2.0), (3, 1.0)])
def test_uniform_codes_give_theorem_3(size: int, gamma: float) -> None:
    """Theorem 3's a(sigma, l) with k = 1/sigma^2 = 2 gamma; at gamma = 2, l = 16 its logarithm is -3.513."""
    expected = theorem_3(size, gamma)
    z = torch.randn(3000, size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    value = log_potential(torch.nn.functional.normalize(z, dim=1), gamma).item()
    assert value == pytest.approx(expected, rel=5e-3)
    if (size, gamma) == (16, 2.0):
        assert expected == pytest.approx(-3.513, abs=1e-3)


def test_paper_gamma_hardly_tells_two_points_from_the_uniform_law_and_gamma_2_does() -> None:
    uniform = torch.nn.functional.normalize(torch.randn(400, 16, generator=torch.Generator().manual_seed(0)), dim=1)
    antipodal = torch.zeros(400, 16)
    antipodal[:200, 0], antipodal[200:, 0] = 1, -1
    assert abs(log_potential(antipodal.double(), 5e-3) - log_potential(uniform.double(), 5e-3)) < 1e-4
    assert log_potential(antipodal, 2.0) > log_potential(uniform, 2.0) + 2


def test_finite_for_codes_of_any_length() -> None:
    """A naive log of a mean of exponentials is log 0 here."""
    z = (500 * torch.randn(50, 16, generator=torch.Generator().manual_seed(1))).requires_grad_()
    value = log_potential(z, 2.0)
    value.backward()
    assert value.isfinite()
    assert z.grad is not None
    assert z.grad.isfinite().all()


def test_gradient() -> None:
    z = torch.randn(6, 3, generator=torch.Generator().manual_seed(3), dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda z: log_potential(z, 0.7), (z,))


@pytest.mark.parametrize("size", [2, 3, 16, 64])
@pytest.mark.parametrize("gamma", [5e-3, 0.5, 2.0, 50.0])
def test_closed_form_equals_the_bessel_function(size: int, gamma: float) -> None:
    assert uniform_log_potential(size, gamma) == pytest.approx(theorem_3(size, gamma), rel=1e-9, abs=1e-13)


@pytest.mark.parametrize("size", [2, 3, 16, 64, 512])
@pytest.mark.parametrize("gamma", [5e-3, 0.5, 2.0, 50.0])
def test_closed_form_equals_quadrature(size: int, gamma: float) -> None:
    """The angle between z and w has the density sin^(l-2), Gegenbauer's weight, and |z - w|^2 = 2 - 2 cos."""

    def integral(width: float) -> float:
        def weighted(angle: float) -> float:
            return math.exp(-width * (2 - 2 * math.cos(angle))) * math.sin(angle) ** (size - 2)

        return float(quad(weighted, 0, math.pi, points=[0.2, 0.5, 1.0, math.pi / 2], epsabs=0, epsrel=1e-12)[0])

    expected = math.log(integral(gamma) / integral(0.0))
    assert uniform_log_potential(size, gamma) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_closed_form_on_two_points_which_are_the_sphere_of_one_dimension() -> None:
    assert uniform_log_potential(1, 0.7) == pytest.approx(math.log((1 + math.exp(-2.8)) / 2), rel=1e-12)


@pytest.mark.parametrize("size", [2, 3, 16, 64, 512])
@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_closed_form_equals_the_mean_of_draws(size: int, gamma: float) -> None:
    rng = torch.Generator().manual_seed(size)
    z, w = (torch.nn.functional.normalize(torch.randn(20_000, size, generator=rng), dim=1).double() for _ in "zw")
    kernel = torch.exp(-gamma * (z - w).square().sum(1))
    error = (kernel.std() / len(kernel) ** 0.5).item()
    assert math.exp(uniform_log_potential(size, gamma)) == pytest.approx(kernel.mean().item(), abs=4 * error)


def test_closed_form_where_its_factors_overflow() -> None:
    """Gamma(256) is no float64: written as the theorem prints it, the formula fails in 512 dimensions."""
    with pytest.raises(OverflowError):
        math.gamma(512 / 2)
    assert uniform_log_potential(512, 2.0) == pytest.approx(-4 + 16 / (2 * 512), abs=1e-4)  # cosines of variance 1/l


def test_one_code_has_no_pairs() -> None:
    with pytest.raises(ValueError, match="a batch of at least 2 samples, got 1"):
        log_potential(torch.ones(1, 3), 2.0)
