"""Planar and inverse autoregressive flows against the Jacobians that autograd gives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.func import jacrev, vmap

from dimecli.nn.flow_posterior import ConditionalFlow
from dimecli.nn.inverse_autoregressive import FORGET_BIAS, InverseAutoregressiveFlow
from dimecli.nn.planar import PlanarFlow, planar

DTYPES = [torch.float32, torch.float64]
FLOWS: dict[str, Callable[[int], ConditionalFlow]] = {
    "planar": lambda size: PlanarFlow(size, 4, shared=False),
    "planar-shared": lambda size: PlanarFlow(size, 4, shared=True),
    "iaf": lambda size: InverseAutoregressiveFlow(size, 3, 5, (16, 16)),
    "iaf-one-layer": lambda size: InverseAutoregressiveFlow(size, 2, 1, (8,)),
}


def draw(*shape: int, dtype: torch.dtype = torch.float64, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def jacobians(flow: ConditionalFlow, z: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
    """`(B, l, l)`, each sample by itself."""
    one: Any = jacrev(lambda z, c: flow(z[None], c[None])[0][0])
    whole: torch.Tensor = vmap(one)(z, context)
    return whole


@pytest.mark.parametrize("name", FLOWS)
@pytest.mark.parametrize("size", [1, 2, 5])
@pytest.mark.parametrize("dtype", DTYPES)
def test_log_determinant_is_that_of_autograd(name: str, size: int, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    flow = FLOWS[name](size).to(dtype)
    z, context = draw(6, size, dtype=dtype), draw(6, flow.context_size, dtype=dtype, seed=1)
    image, log_det = flow(z, context)
    assert image.shape == z.shape
    expected = torch.linalg.slogdet(jacobians(flow, z, context).detach()).logabsdet
    torch.testing.assert_close(log_det.detach(), expected, atol=1e-4 if dtype == torch.float32 else 1e-10, rtol=1e-4)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("scale", [1.0, 5.0])
def test_planar_steps_are_invertible_whatever_the_parameters(dtype: torch.dtype, scale: float) -> None:
    """w.u_hat > -1, so that the step rises strictly along w; unconstrained, 1 in 3 of these would fold space."""
    u, w = scale * draw(200, 16, dtype=dtype), scale * draw(200, 16, dtype=dtype, seed=1)
    b = draw(200, 1, dtype=dtype, seed=2)
    assert ((u * w).sum(1) < -1).float().mean() > 0.3
    z = draw(200, 16, dtype=dtype, seed=3)
    _, log_det = planar(z, u, w, b)
    assert log_det.isfinite().all()
    heights = torch.linspace(-3, 3, 61, dtype=torch.float64)
    u, w, b, z = u.double(), w.double(), b.double(), z.double()
    along = [((planar(z + h * w / w.square().sum(1, keepdim=True), u, w, b)[0]) * w).sum(1) for h in heights]
    assert (torch.stack(along).diff(dim=0) > 0).all()


def test_planar_step_written_out() -> None:
    z, u, w, b = draw(9, 2), draw(9, 2, seed=1), draw(9, 2, seed=2), draw(9, 1, seed=3)
    product = (u * w).sum(1, keepdim=True)
    assert (product < 0).any()
    assert (product > 0).any()
    m = torch.nn.functional.elu(product)
    u_hat = u + (m - product) * w / w.square().sum(1, keepdim=True)
    expected = z + u_hat * torch.tanh((w * z).sum(1, keepdim=True) + b)
    torch.testing.assert_close(planar(z, u, w, b)[0], expected)


@pytest.mark.parametrize("dtype", DTYPES)
def test_planar_step_without_a_direction_or_a_normal(dtype: torch.dtype) -> None:
    """Where w vanishes the step is a shift by u tanh(b); with the paper's constraint it would go to infinity."""
    z, u, zero = draw(4, 3, dtype=dtype), draw(4, 3, dtype=dtype, seed=1), torch.zeros(4, 3, dtype=dtype)
    b = torch.full((4, 1), 0.5, dtype=dtype)
    tiny = zero + 1e-5
    for w in (zero, tiny):
        w = w.clone().requires_grad_()
        image, log_det = planar(z, u, w, b)
        torch.testing.assert_close(image, z + u * torch.tanh(b), atol=1e-3, rtol=0)
        torch.testing.assert_close(log_det, torch.zeros_like(log_det), atol=1e-3, rtol=0)
        (image.sum() + log_det.sum()).backward()
        assert w.grad is not None
        assert w.grad.isfinite().all()


def test_shared_planar_steps_need_no_context_and_others_depend_on_it() -> None:
    torch.manual_seed(0)
    shared, own = PlanarFlow(3, 2, shared=True), PlanarFlow(3, 2, shared=False)
    assert (shared.context_size, own.context_size) == (0, 14)
    assert [weight.shape for weight in shared.parameters()] == [(14,)]
    assert list(own.parameters()) == []
    z = draw(1, 3, dtype=torch.float32).expand(2, 3)
    first, second = own(z, draw(2, 14, dtype=torch.float32))[0]
    assert not torch.allclose(first, second)


@pytest.mark.parametrize("size", [2, 5])
def test_jacobian_of_a_step_is_triangular_with_the_gates_on_its_diagonal(size: int) -> None:
    torch.manual_seed(0)
    flow = InverseAutoregressiveFlow(size, 1, 3, (16, 16)).double()
    z, context = draw(4, size), draw(4, 3, seed=1)
    jacobian = jacobians(flow, z, context).detach()
    assert jacobian.triu(1).abs().max() == 0
    assert (jacobian.tril(-1).abs().amax(0)[*torch.tril_indices(size, size, -1)] > 0).all()  # nothing else is cut
    _, log_diagonal = flow.scaled(z, context)
    torch.testing.assert_close(jacobian.diagonal(dim1=1, dim2=2).log(), log_diagonal.detach())


def test_every_other_step_runs_in_reverse() -> None:
    """The last dimension of the first step sees all others, and so does the first of the second step."""
    torch.manual_seed(0)
    flow = InverseAutoregressiveFlow(4, 2, 3, (16, 16)).double()
    second = InverseAutoregressiveFlow(4, 2, 3, (16, 16)).double()
    second.networks = flow.networks[1:]
    z, context = draw(4, 4), draw(4, 3, seed=1)
    assert jacobians(second, z, context).tril(-1).abs().max() == 0
    assert (jacobians(flow, z, context).abs().amax(0) > 0).all()


def test_steps_depend_on_the_context_and_begin_near_the_identity() -> None:
    torch.manual_seed(0)
    flow = InverseAutoregressiveFlow(4, 2, 3, (16,)).double()
    z = draw(1, 4).expand(2, 4)
    first, second = flow(z, draw(2, 3))[0]
    assert not torch.allclose(first, second)
    networks: Any = flow.networks
    for network in networks:
        torch.nn.init.zeros_(network[-1].weight)
        torch.nn.init.zeros_(network[-1].bias)
    gate = torch.sigmoid(torch.tensor(FORGET_BIAS, dtype=torch.float64))
    torch.testing.assert_close(flow(z, draw(2, 3))[0], gate.square() * z)
