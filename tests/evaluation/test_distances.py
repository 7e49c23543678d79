"""Distances between sets of features against other ways to compute them."""

from __future__ import annotations

import itertools
import warnings

import numpy as np
import pytest
import scipy.linalg
import torch

from dimecli.errors import UserError
from dimecli.evaluation.distances import frechet, kernel_distance

SIZES = [(300, 200, 8), (500, 500, 64), (40, 60, 64), (2, 2, 3), (50, 70, 1)]


def two_sets(n: int, m: int, d: int, dtype: torch.dtype = torch.float32) -> tuple[torch.Tensor, torch.Tensor]:
    """Correlated, not Gaussian, apart."""
    rng = torch.Generator().manual_seed(n + d)
    a, b = (torch.randn(size, d, generator=rng, dtype=torch.float64) for size in (n, m))
    mix = torch.randn(d, d, generator=rng, dtype=torch.float64)
    return (a @ mix).to(dtype), (b @ mix + 0.5 * b.square() + 1).relu().to(dtype)


def frechet_by_eigh(a: torch.Tensor, b: torch.Tensor) -> float:
    """`tr (C_a C_b)^(1/2)` as the trace of the symmetric `(C_a^(1/2) C_b C_a^(1/2))^(1/2)`."""
    x, y = a.double(), b.double()
    cov_x, cov_y = (torch.atleast_2d(torch.cov(z.T)) for z in (x, y))
    values, vectors = torch.linalg.eigh(cov_x)
    root = vectors @ torch.diag(values.clamp_min(0).sqrt()) @ vectors.T
    cross = torch.linalg.eigvalsh(root @ cov_y @ root).clamp_min(0).sqrt().sum()
    return float((x.mean(0) - y.mean(0)).square().sum() + cov_x.trace() + cov_y.trace() - 2 * cross)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("n", "m", "d"), SIZES)
def test_frechet_equals_the_symmetric_root(n: int, m: int, d: int, dtype: torch.dtype) -> None:
    a, b = two_sets(n, m, d, dtype)
    assert frechet(a, b) == pytest.approx(frechet_by_eigh(a, b), rel=1e-5)
    assert frechet(a, b) == pytest.approx(frechet(b, a), rel=1e-5)


def test_frechet_equals_the_matrix_root_of_scipy() -> None:
    a, b = two_sets(400, 300, 16, torch.float64)
    x, y = a.numpy(), b.numpy()
    cov_x, cov_y = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    root = np.real(scipy.linalg.sqrtm(cov_x @ cov_y))
    expected = np.square(x.mean(0) - y.mean(0)).sum() + np.trace(cov_x + cov_y - 2 * root)
    assert frechet(a, b) == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize(("n", "d"), [(500, 64), (40, 64), (2, 5)])
def test_equal_sets_have_distance_zero_and_no_less(n: int, d: int) -> None:
    a, _ = two_sets(n, n, d)
    assert 0 <= frechet(a, a) < 1e-3
    assert 0 <= frechet(a, a.flip(0)) < 1e-3


def test_a_shift_costs_its_square_even_far_from_the_origin() -> None:
    a, _ = two_sets(300, 2, 4, torch.float64)
    shift = torch.tensor([1.0, 2.0, 0.0, -2.0], dtype=torch.float64)
    assert frechet(a + shift, a) == pytest.approx(9, rel=1e-6)
    assert frechet(a + 1e7 + shift, a + 1e7) == pytest.approx(9, rel=1e-3)


def kernel(x: torch.Tensor, y: torch.Tensor) -> float:
    return (float(sum(float(i) * float(j) for i, j in zip(x, y, strict=True))) / len(x) + 1) ** 3


def mmd_by_loops(a: torch.Tensor, b: torch.Tensor) -> float:
    within = [sum(kernel(x[i], x[j]) for i, j in itertools.permutations(range(len(x)), 2)) for x in (a, b)]
    across = sum(kernel(x, y) for x in a for y in b)
    n = len(a)
    return (within[0] + within[1]) / (n * (n - 1)) - 2 * across / n**2


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("n", "d"), [(12, 5), (2, 3), (20, 1)])
def test_kernel_distance_equals_double_loops(n: int, d: int, dtype: torch.dtype) -> None:
    a, b = two_sets(n, n, d, dtype)
    mean, std = kernel_distance(a, b, torch.Generator(), 3, n)  # subsets of all, in any order
    assert mean == pytest.approx(mmd_by_loops(a, b), rel=1e-6)
    assert std < 1e-6 * abs(mean)


def test_kernel_distance_equals_the_kid_of_torchmetrics() -> None:
    from torchmetrics.image.kid import KernelInceptionDistance

    a, b = two_sets(60, 60, 8, torch.float64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it keeps all features
        kid = KernelInceptionDistance(torch.nn.Identity(), subsets=1, subset_size=60)
    kid.update(a, real=True)
    kid.update(b, real=False)
    assert kernel_distance(a, b, torch.Generator(), 1, 60)[0] == pytest.approx(kid.compute()[0].item(), rel=1e-8)


def test_subsets_are_drawn_from_the_generator_and_average_to_the_distance() -> None:
    a, b = two_sets(400, 300, 4)
    before = torch.random.get_rng_state()
    first, again, other = (kernel_distance(a, b, torch.Generator().manual_seed(seed), 50, 40) for seed in (0, 0, 1))
    assert first == again != other
    assert torch.equal(before, torch.random.get_rng_state())
    whole, _ = kernel_distance(a[:300], b, torch.Generator(), 1, 300)
    mean, std = kernel_distance(a[:300], b, torch.Generator().manual_seed(0), 400, 40)
    assert abs(mean - whole) < 4 * std / 20  # standard errors of 400 subsets


def test_kernel_distance_is_unbiased_so_that_it_is_negative_about_half_of_the_time() -> None:
    rng = torch.Generator().manual_seed(0)
    found = [
        kernel_distance(torch.randn(50, 4, generator=rng), torch.randn(50, 4, generator=rng), rng, 1, 50)[0]
        for _ in range(100)
    ]
    assert 30 < sum(value < 0 for value in found) < 70 + 10  # skewed: more than half are below the mean
    assert abs(np.mean(found)) < 4 * np.std(found) / 10


def test_too_few_samples_are_told() -> None:
    a, b = two_sets(1, 30, 4)
    for measure in (lambda: frechet(a, b), lambda: kernel_distance(b, a, torch.Generator(), 1, 1)):
        with pytest.raises(UserError, match=r"^-n: got \d+ samples to compare with \d+; allowed: 2 or more of each$"):
            measure()
