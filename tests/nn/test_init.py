from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from dimecli.nn.init import he_normal

LAYERS: dict[str, tuple[Callable[[], nn.Linear | nn.Conv2d | nn.ConvTranspose2d], tuple[int, ...]]] = {
    "linear": (lambda: nn.Linear(400, 300), (400,)),
    "conv": (lambda: nn.Conv2d(64, 64, 4, 2, 1), (64, 32, 32)),
    "transposed-4": (lambda: nn.ConvTranspose2d(128, 32, 4, 2, 1), (128, 16, 16)),
    "transposed-5": (lambda: nn.ConvTranspose2d(128, 32, 5, 2, 2, 1), (128, 16, 16)),
    "transposed-1": (lambda: nn.ConvTranspose2d(128, 1024, 1), (128, 8, 8)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_relu_layers_keep_the_mean_square(name: str) -> None:
    torch.manual_seed(0)
    make, shape = LAYERS[name]
    with torch.no_grad():
        x = torch.randn(64, *shape).relu() * 2**0.5  # mean square 1
        out = he_normal(make())(x).relu()
    inner = out[..., 2:-2, 2:-2] if out.dim() == 4 else out  # zeros around an image weaken its border
    assert inner.square().mean().item() == pytest.approx(1, rel=0.1)


def test_biases_are_zero_and_may_be_absent() -> None:
    assert not he_normal(nn.Linear(3, 2)).bias.any()
    assert he_normal(nn.Conv2d(3, 2, 3, bias=False)).bias is None
