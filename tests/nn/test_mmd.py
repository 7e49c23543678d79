"""The maximum mean discrepancy against double loops, closed forms and autograd."""

import math
import statistics

import pytest
import torch

from dimecli.nn.distances import squared_distances
from dimecli.nn.mmd import SCALES, Kernel, mmd
from dimecli.nn.multiquadratic import InverseMultiquadratic

DTYPES = [torch.float32, torch.float64]
KERNELS: list[Kernel] = ["imq", "rbf"]


def normal(count: int, size: int, seed: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(count, size, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def brute_force(x: torch.Tensor, y: torch.Tensor, kernel: Kernel, spread: float) -> float:
    a, b = x.double().tolist(), y.double().tolist()
    width = statistics.median(math.dist(p, q) ** 2 for p in a for q in b)

    def k(p: list[float], q: list[float]) -> float:
        square = math.dist(p, q) ** 2
        if kernel == "rbf":
            return math.exp(-square / (2 * width))
        return math.fsum(s * spread / (s * spread + square) for s in (0.1, 0.2, 0.5, 1, 2, 5, 10))

    def within(points: list[list[float]]) -> float:
        pairs = [k(p, q) for i, p in enumerate(points) for j, q in enumerate(points) if i != j]
        return math.fsum(pairs) / len(pairs)

    between = [k(p, q) for p in a for q in b]
    return within(a) + within(b) - 2 * math.fsum(between) / len(between)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize(
    ("n", "m", "size"), [(3, 5, 1), (7, 7, 3), (15, 9, 16)]
)  # odd numbers of pairs have one median
def test_equals_the_double_loop(kernel: Kernel, n: int, m: int, size: int, dtype: torch.dtype) -> None:
    x, y = 0.5 + 2 * normal(n, size, 0, dtype), normal(m, size, 1, dtype)
    expected = brute_force(x, y, kernel, spread=2.0 * size)
    assert mmd(x, y, kernel, spread=2.0 * size).item() == pytest.approx(expected, rel=1e-5, abs=1e-5)


@pytest.mark.parametrize("dtype", DTYPES)
def test_squared_distances(dtype: torch.dtype) -> None:
    a, b = normal(5, 3, 0, dtype), normal(4, 3, 1, dtype)
    torch.testing.assert_close(squared_distances(a, b), torch.cdist(a, b).square())
    assert (squared_distances(a, a) >= 0).all()


def test_scales_are_summed_not_averaged() -> None:
    """Codes at one point, draws at another, the square of whose distance is the spread."""
    x, y = torch.zeros(2, 1, dtype=torch.float64), torch.ones(2, 1, dtype=torch.float64)
    assert mmd(x, y, "imq", 1.0).item() == pytest.approx(2 * 7 - 2 * sum(s / (s + 1) for s in SCALES), rel=1e-12)


@pytest.mark.parametrize("kernel", KERNELS)
def test_mean_is_zero_and_about_half_of_the_values_are_negative_where_the_laws_are_the_same(kernel: Kernel) -> None:
    """100 codes in 16 dimensions: mean 0 within four standard errors; a V-statistic would have 0.068 for imq."""
    values = torch.stack([mmd(normal(100, 16, 2 * i), normal(100, 16, 2 * i + 1), kernel, 32.0) for i in range(200)])
    assert values.mean().abs() < 4 * values.std() / math.sqrt(len(values))
    assert 0.4 < (values < 0).double().mean() < 0.7
    if kernel == "imq":
        assert values.std().item() == pytest.approx(0.008, rel=0.3)


def test_rbf_has_the_mean_of_two_gaussians_in_closed_form() -> None:
    """`E exp(-|a - b|^2 / (2 w)) = (w / (w + 2))^(l/2) exp(-|d|^2 / (2 (w + 2)))` if a - b is N(d, 2 I)."""
    size, shift, errors = 3, 1.0, []
    for i in range(40):
        x, y = normal(200, size, 2 * i) + shift, normal(200, size, 2 * i + 1)
        width = squared_distances(x, y).median().item()
        same = (width / (width + 2)) ** (size / 2)
        other = same * math.exp(-size * shift**2 / (2 * (width + 2)))
        errors.append(mmd(x, y, "rbf", 1.0).item() / (2 * (same - other)) - 1)
    mean, error = statistics.mean(errors), statistics.stdev(errors) / math.sqrt(len(errors))
    assert abs(mean) < 4 * error < 0.1


@pytest.mark.parametrize("kernel", KERNELS)
def test_order_of_the_codes_does_not_matter(kernel: Kernel) -> None:
    x, y = normal(9, 4, 0), normal(9, 4, 1)
    order = torch.randperm(9, generator=torch.Generator().manual_seed(2))
    assert mmd(x[order], y, kernel, 8.0).item() == pytest.approx(mmd(x, y, kernel, 8.0).item(), rel=1e-10)


def test_cross_term_has_its_diagonal() -> None:
    """Codes that are the draws: the cross term counts each with itself, so the value is negative, not 0."""
    x = normal(6, 2, 0)
    within = [s * 4 / (s * 4 + math.dist(p, q) ** 2) for s in SCALES for p in x.tolist() for q in x.tolist()]
    full, diagonal = math.fsum(within), 6 * 7
    assert mmd(x, x, "imq", 4.0).item() == pytest.approx(2 * (full - diagonal) / 30 - 2 * full / 36, rel=1e-10)


def test_gradient_of_the_multiquadratic() -> None:
    squares = normal(4, 5, 0).square().requires_grad_()
    assert torch.autograd.gradcheck(lambda d: InverseMultiquadratic.apply(d, [0.3, 2.0]), (squares,))


def test_gradient_reaches_codes_and_draws() -> None:
    x, y = normal(5, 3, 0).requires_grad_(), normal(4, 3, 1).requires_grad_()
    assert torch.autograd.gradcheck(lambda x, y: mmd(x, y, "imq", 6.0), (x, y))


def test_rbf_width_is_a_constant_to_gradients() -> None:
    x, y = normal(5, 2, 0).requires_grad_(), normal(5, 2, 1)
    width = squared_distances(x.detach(), y).median()

    def written_out(x: torch.Tensor) -> torch.Tensor:
        same, prior, other = ((-torch.cdist(*pair).square() / (2 * width)).exp() for pair in ((x, x), (y, y), (x, y)))
        return (same.sum() - 5) / 20 + (prior.sum() - 5) / 20 - 2 * other.mean()

    (expected,) = torch.autograd.grad(written_out(x), x)
    (gradient,) = torch.autograd.grad(mmd(x, y, "rbf", 4.0), x)
    torch.testing.assert_close(gradient, expected)


@pytest.mark.parametrize("kernel", KERNELS)
def test_collapsed_codes_have_a_finite_gradient(kernel: Kernel) -> None:
    x = torch.zeros(8, 4, requires_grad=True)
    value = mmd(x, normal(8, 4, 1, torch.float32), kernel, 8.0)
    value.backward()
    assert value > 0
    assert x.grad is not None
    assert x.grad.isfinite().all()


def test_one_code_has_no_discrepancy() -> None:
    with pytest.raises(ValueError, match="a batch of at least 2 samples, got 1"):
        mmd(normal(5, 2, 0), normal(1, 2, 1), "imq", 4.0)
