"""The nuclear norm and its gradient, where singular values are zero or alike as well."""

from __future__ import annotations

import pytest
import torch

from dimecli.nn.nuclear import nuclear_norm

DTYPES = [torch.float32, torch.float64]


def random_matrix(rows: int, columns: int, dtype: torch.dtype) -> torch.Tensor:
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(0), dtype=dtype).requires_grad_()


def gradient(matrix: torch.Tensor) -> torch.Tensor:
    (result,) = torch.autograd.grad(nuclear_norm(matrix), matrix)
    return result


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(1, 1), (5, 5), (7, 3), (3, 7)])
def test_equals_the_norm_of_torch(shape: tuple[int, int], dtype: torch.dtype) -> None:
    matrix = random_matrix(*shape, dtype)
    torch.testing.assert_close(nuclear_norm(matrix), torch.linalg.matrix_norm(matrix, "nuc"))


@pytest.mark.parametrize("shape", [(4, 4), (5, 3)])
def test_gradient_is_the_derivative_by_finite_differences(shape: tuple[int, int]) -> None:
    assert torch.autograd.gradcheck(nuclear_norm, (random_matrix(*shape, torch.float64),))


@pytest.mark.parametrize("dtype", DTYPES)
def test_gradient_at_repeated_singular_values_is_u_v(dtype: torch.dtype) -> None:
    rotation = torch.linalg.qr(random_matrix(6, 6, dtype)).Q.detach()
    matrix = (3 * rotation).requires_grad_()  # all six are 3
    torch.testing.assert_close(gradient(matrix), rotation)


@pytest.mark.parametrize("dtype", DTYPES)
def test_gradient_at_zero_singular_values_is_the_shortest_subgradient(dtype: torch.dtype) -> None:
    left, right = (torch.nn.functional.normalize(random_matrix(1, 5, dtype)[0] + shift, dim=0) for shift in (0, 1))
    matrix = (2 * torch.outer(left, right)).detach().requires_grad_()  # of rank 1
    torch.testing.assert_close(gradient(matrix), torch.outer(left, right).detach())
    assert not gradient(torch.zeros(4, 4, dtype=dtype).requires_grad_()).any()


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_matrix_that_is_not_finite_has_a_norm_that_is_not(bad: float) -> None:
    matrix = random_matrix(3, 3, torch.float32).detach()
    matrix[1, 2] = bad
    assert not nuclear_norm(matrix).isfinite()
