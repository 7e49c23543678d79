"""Losses that contain a gradient, which is itself differentiated. Importing this module imports torch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel


@contextmanager
def second_derivatives(network: nn.Module) -> Iterator[None]:
    """Gradients are on, and what `network` computes inside can be differentiated twice.

    The fast kernels of attention, and cuDNN's of recurrent layers, have no derivative of their
    backward pass; here others compute the same. All of the forward passes belong inside; the
    gradients may be taken outside.
    """
    recurrent = any(isinstance(module, nn.RNNBase) for module in network.modules())
    with torch.enable_grad(), sdpa_kernel(SDPBackend.MATH):
        if recurrent:
            with torch.backends.cudnn.flags(enabled=False):
                yield
        else:  # cuDNN's convolutions have second derivatives, and are much faster than others
            yield


def squared_jacobian_norm(
    outputs: torch.Tensor, inputs: torch.Tensor, probes: int, rng: torch.Generator
) -> torch.Tensor:
    """`(B,)` unbiased estimates of `|J|_F^2`, J the Jacobian of `(B, ...)` outputs by `(B, ...)` inputs.

    `|J|_F^2 = n E|J' v|^2` for a random unit vector v of the n outputs (Hutchinson, 1989). The probes
    v of a sample are orthogonal to each other, so that n of them give the norm exactly. Where a
    batch norm couples the samples, an input is charged for what it does to the outputs of all.

    Has gradients if they are on where it is called; `inputs` must be part of the graph of `outputs`.
    """
    count = outputs[0].numel()
    noise = torch.randn(
        len(outputs), count, min(probes, count), generator=rng, device=outputs.device, dtype=outputs.dtype
    )
    # a decomposition of many rows is a loop over the samples on a GPU, and one column needs none
    orthonormal = torch.linalg.qr(noise).Q if noise.shape[2] > 1 else F.normalize(noise, dim=1)
    gradients = [
        torch.autograd.grad(
            outputs, inputs, v.view_as(outputs), retain_graph=True, create_graph=torch.is_grad_enabled()
        )[0]
        for v in orthonormal.unbind(2)  # (B, n)
    ]
    squares = torch.stack([gradient.flatten(1).square().sum(1) for gradient in gradients])
    return count * squares.mean(0)
