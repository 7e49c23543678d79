"""Fresh weights. Importing this module imports torch."""

from __future__ import annotations

import math
from typing import TypeVar

from torch import nn

Layer = TypeVar("Layer", bound=nn.Linear | nn.Conv1d | nn.Conv2d | nn.ConvTranspose2d)


def he_normal(layer: Layer) -> Layer:
    """The layer with zero biases and Gaussian weights of variance 2 / fan-in (He et al. 2015, eq. 10).

    It keeps the scale of what passes through a stack of ReLU layers; torch's own draw shrinks it,
    layer by layer. An output of a transposed convolution sees `channels x kernel / stride` inputs.
    """
    if isinstance(layer, nn.ConvTranspose2d):
        fan_in = layer.in_channels * math.prod(layer.kernel_size) / math.prod(layer.stride)
    else:
        fan_in = layer.weight[0].numel()
    nn.init.normal_(layer.weight, std=math.sqrt(2 / fan_in))
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer
