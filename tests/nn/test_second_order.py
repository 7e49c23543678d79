"""Second derivatives through the networks, and the Jacobian's norm against autograd's Jacobian."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import nn

from dimecli.nn.second_order import second_derivatives, squared_jacobian_norm
from dimecli.nn.sequence import GruDecoder, Steps
from dimecli.nn.transformer import AutoregressiveTransformer, TransformerDecoder, TransformerEncoder

DTYPES = [torch.float32, torch.float64]


def rng(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def small_net(dtype: torch.dtype, inputs: int, outputs: int) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(inputs, 5), nn.Tanh(), nn.Linear(5, outputs)).to(dtype)


def exact_norms(net: Callable[[torch.Tensor], torch.Tensor], inputs: torch.Tensor) -> torch.Tensor:
    """`(B,)`: from the whole Jacobian of each sample."""
    rows = [torch.autograd.functional.jacobian(net, row[None], create_graph=True) for row in inputs]
    return torch.stack([row.square().sum() for row in rows])


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", ["decoder", "encoder", "autoregressive", "gru"])
def test_attention_and_recurrence_have_second_derivatives(name: str, training: bool) -> None:
    torch.manual_seed(0)
    ids = torch.randint(5, (2, 3), generator=rng()).short()
    codes = torch.randn(2, 2, generator=rng(), dtype=torch.float64)
    weights = torch.rand(2, 3, 5, generator=rng(), dtype=torch.float64)
    net, inputs, others = {
        "decoder": (TransformerDecoder(2, 3, 5, 16, 1), codes, ()),
        "encoder": (TransformerEncoder(3, 5, 2, 16, 1), weights, ()),
        "autoregressive": (AutoregressiveTransformer(2, 3, 5, 16, 1), codes, (ids,)),
        "gru": (GruDecoder(Steps(2, 3, 4), 4, 5, 4, 2), codes, ()),
    }[name]
    net.double().train(training)
    inputs.requires_grad_()
    with torch.no_grad(), second_derivatives(net):
        assert torch.autograd.gradgradcheck(lambda z: net(z, *others).square().sum(), (inputs,))


def test_kernels_change_only_inside_and_cudnn_only_for_recurrent_layers() -> None:
    before = torch.backends.cuda.flash_sdp_enabled(), torch.backends.cudnn.enabled
    with second_derivatives(nn.Sequential(nn.Conv2d(1, 1, 1))):
        assert not torch.backends.cuda.flash_sdp_enabled()
        assert torch.backends.cudnn.enabled == before[1]
    with second_derivatives(nn.Sequential(nn.GRU(1, 1))):
        assert not torch.backends.cudnn.enabled
    assert (torch.backends.cuda.flash_sdp_enabled(), torch.backends.cudnn.enabled) == before


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("inputs", "outputs"), [((3,), 1), ((3,), 7), ((2, 4), 6)])
@pytest.mark.parametrize("more", [0, 5])
def test_as_many_probes_as_outputs_give_the_norm_exactly(
    dtype: torch.dtype, inputs: tuple[int, ...], outputs: int, more: int
) -> None:
    net = nn.Sequential(nn.Flatten(), small_net(dtype, math.prod(inputs), outputs))
    x = torch.randn(4, *inputs, generator=rng(), dtype=dtype).requires_grad_()
    norms = squared_jacobian_norm(net(x), x, outputs + more, rng())
    assert norms.dtype == dtype
    torch.testing.assert_close(norms, exact_norms(net, x))


@pytest.mark.parametrize("probes", [1, 3])
def test_few_probes_are_unbiased(probes: int) -> None:
    net = small_net(torch.float64, 3, 6)
    point = torch.randn(1, 3, generator=rng(), dtype=torch.float64)
    x = point.expand(40_000, -1).clone().requires_grad_()
    norms = squared_jacobian_norm(net(x), x, probes, rng()).detach()
    error = norms.std() / math.sqrt(len(norms))
    assert error > 0
    assert norms.mean().item() == pytest.approx(exact_norms(net, point).item(), abs=4 * error.item())


def test_its_gradient_is_that_of_the_exact_norm() -> None:
    net = small_net(torch.float64, 3, 4)
    x = torch.randn(5, 3, generator=rng(), dtype=torch.float64).requires_grad_()
    weights = [x, *net.parameters()]
    estimated, exact = squared_jacobian_norm(net(x), x, 4, rng()).mean(), exact_norms(net, x).mean()
    pairs = zip(*(torch.autograd.grad(norm, weights, allow_unused=True) for norm in (estimated, exact)), strict=True)
    for ours, theirs in list(pairs)[:-1]:  # the last bias moves no derivative
        torch.testing.assert_close(ours, theirs)


def test_without_gradients_it_has_none() -> None:
    net = small_net(torch.float32, 3, 4)
    with torch.no_grad():
        with second_derivatives(net):
            x = torch.randn(5, 3, generator=rng()).requires_grad_()
            outputs = net(x)
        assert not squared_jacobian_norm(outputs, x, 2, rng()).requires_grad
    assert squared_jacobian_norm(outputs, x, 2, rng()).requires_grad
