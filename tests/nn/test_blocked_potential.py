"""The log-potential in blocks against the whole square of distances."""

import math

import pytest
import torch
import torch.nn.functional as F

from dimecli.nn import blocked_potential
from dimecli.nn.blocked_potential import BlockedLogPotential
from dimecli.nn.potential import log_potential

DTYPES = [torch.float32, torch.float64]


@pytest.fixture(params=[1, 64, 10_000])
def entries(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Blocks of one row, of a few rows with a smaller last one, and of all rows."""
    count: int = request.param
    monkeypatch.setattr(blocked_potential, "_ENTRIES", count)
    return count


def codes(count: int, size: int, dtype: torch.dtype) -> torch.Tensor:
    return torch.randn(count, size, generator=torch.Generator().manual_seed(count), dtype=dtype).requires_grad_()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("count", "size", "gamma"), [(2, 2, 2.0), (7, 3, 5e-3), (20, 16, 2.0), (33, 1, 0.5)])
def test_blocks_give_the_value_and_gradient_of_the_square(
    entries: int, dtype: torch.dtype, count: int, size: int, gamma: float
) -> None:
    z = codes(count, size, dtype)
    value, expected = BlockedLogPotential.apply(z, gamma), log_potential(z, gamma)
    assert value.dtype == dtype
    torch.testing.assert_close(value, expected)
    (gradient,) = torch.autograd.grad(3 * value, z)
    (wanted,) = torch.autograd.grad(3 * expected, z)
    tolerance = 2e-5 if dtype == torch.float32 else 1e-12
    torch.testing.assert_close(gradient, wanted, rtol=tolerance, atol=tolerance * wanted.abs().max().item())


def test_gradient_of_blocks(entries: int) -> None:
    assert torch.autograd.gradcheck(lambda z: BlockedLogPotential.apply(z, 0.7), (codes(9, 3, torch.float64),))


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_large_batch_goes_by_blocks_and_has_the_value_of_the_double_sum(dtype: torch.dtype) -> None:
    z = F.normalize(codes(1_500, 16, dtype).detach(), dim=1).requires_grad_()
    value = log_potential(z, 2.0)
    assert "BlockedLogPotential" in type(value.grad_fn).__name__
    exact = torch.pdist(z.detach().double()).square().mul(-2.0).logsumexp(0) - math.log(1_500 * 1_499 / 2)
    assert value.item() == pytest.approx(exact.item(), rel=1e-6 if dtype == torch.float32 else 1e-12)
    value.backward()
    wanted = z.detach().double().requires_grad_()
    (torch.pdist(wanted).square().mul(-2.0).logsumexp(0)).backward()
    assert wanted.grad is not None
    assert z.grad is not None
    torch.testing.assert_close(z.grad.double(), wanted.grad, rtol=1e-3, atol=1e-8)


def test_small_batches_hold_the_square() -> None:
    assert "BlockedLogPotential" not in type(log_potential(codes(100, 4, torch.float32), 2.0).grad_fn).__name__


def test_a_large_batch_holds_no_square() -> None:
    """No tensor on the way has anything like B^2 elements."""
    from torch.utils._python_dispatch import TorchDispatchMode

    largest = 0

    class Sizes(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
            nonlocal largest
            result = func(*args, **(kwargs or {}))
            if isinstance(result, torch.Tensor):
                largest = max(largest, result.untyped_storage().nbytes() // result.element_size())
            return result

    z = codes(4_096, 2, torch.float32)
    with Sizes():  # type: ignore[no-untyped-call]
        log_potential(z, 2.0).backward()
    assert 4_096 <= largest <= 4_096**2 // 8


@pytest.mark.parametrize("scale", [0.0, 500.0])
def test_finite_for_identical_codes_and_for_codes_of_any_length(scale: float) -> None:
    z = (scale * codes(1_100, 16, torch.float32).detach()).requires_grad_()
    value = log_potential(z, 2.0)
    value.backward()
    assert z.grad is not None
    assert z.grad.isfinite().all()
    if scale == 0:
        assert value.item() == pytest.approx(0, abs=1e-5)
    else:
        assert -math.inf < value.item() < -1e5
