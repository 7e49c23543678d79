from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from dimecli.nn.conv import ConvNet, Crop, Halve, Signed, doubling


@pytest.mark.parametrize("kernel", [3, 4, 5])
@pytest.mark.parametrize("side", range(1, 18))
def test_halve_rounds_sides_up_and_doubling_doubles_them(kernel: int, side: int) -> None:
    halved = Halve(2, 3, kernel)(torch.zeros(1, 2, side, 7))
    assert halved.shape == (1, 3, math.ceil(side / 2), 4)
    assert doubling(2, 3, kernel)(torch.zeros(1, 2, side, 7)).shape == (1, 3, 2 * side, 14)


@pytest.mark.parametrize("kernel", [4, 5])
@pytest.mark.parametrize("shape", [(8, 8), (9, 6), (7, 7), (1, 3)])
def test_halve_is_the_convolution_of_a_zero_padded_image(kernel: int, shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    halve, x = Halve(1, 1, kernel).double(), torch.randn(1, 1, *shape).double()
    assert halve.bias is not None
    bias = halve.bias[0]
    padded = torch.zeros(shape[0] + 2 * kernel, shape[1] + 2 * kernel).double()
    start = (kernel - 1) // 2
    padded[start : start + shape[0], start : start + shape[1]] = x[0, 0]
    for row in range(math.ceil(shape[0] / 2)):
        for column in range(math.ceil(shape[1] / 2)):
            seen = padded[2 * row : 2 * row + kernel, 2 * column : 2 * column + kernel]
            expected = (seen * halve.weight[0, 0]).sum() + bias
            torch.testing.assert_close(halve(x)[0, 0, row, column], expected)


def test_crop_and_signed() -> None:
    x = torch.arange(12.0).reshape(1, 1, 3, 4)
    assert Crop(2, 3)(x)[0, 0].tolist() == [[0, 1, 2], [4, 5, 6]]
    assert Signed()(torch.tensor([0.0, 0.25, 1.0])).tolist() == [-1, -0.5, 1]


def test_norms_replace_biases() -> None:
    net = ConvNet((4, 6), (False, True), (5, 3), (True, False), kernel=4, last_kernel=3, signed=False)
    encoder = net.encoder((2, 8, 8), 7)
    assert [type(layer) for layer in encoder] == [
        *(Halve, nn.ReLU),
        *(Halve, nn.BatchNorm2d, nn.ReLU),
        *(nn.Flatten, nn.Linear),
    ]
    assert [layer.bias is None for layer in encoder if isinstance(layer, nn.Conv2d)] == [False, True]
    decoder = net.decoder((2, 8, 8), 7, nn.Sigmoid())
    assert [type(layer) for layer in decoder] == [
        *(nn.Linear, nn.Unflatten, nn.BatchNorm2d, nn.ReLU),
        *(nn.ConvTranspose2d, nn.ReLU),
        *(nn.ConvTranspose2d, Crop, nn.Sigmoid),
    ]


@pytest.mark.parametrize(("width", "channels"), [(1.0, 10), (0.5, 5), (0.01, 1), (2.0, 20)])
def test_width_scales_channels_but_not_the_images(width: float, channels: int) -> None:
    net = ConvNet((10,), (False,), (10, 10), (False, False), kernel=4, last_kernel=1, signed=False, width=width)
    first = next(layer for layer in net.encoder((3, 8, 8), 2) if isinstance(layer, nn.Conv2d))
    assert first.weight.shape == (channels, 3, 4, 4)
    last = [layer for layer in net.decoder((3, 8, 8), 2, nn.Identity()) if isinstance(layer, nn.ConvTranspose2d)][-1]
    assert last.weight.shape == (channels, 3, 1, 1)
