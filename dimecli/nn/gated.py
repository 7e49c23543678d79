"""Gated layers, `a * sigmoid(b)` with a and b linear in the input. Importing this module imports torch."""

from __future__ import annotations

import math

from torch import nn

from dimecli.nn.conv import Halve
from dimecli.nn.init import he_normal


def gated_dense(features: int, out_features: int) -> nn.Sequential:
    """`(B, features)` to `(B, out_features)`."""
    return nn.Sequential(he_normal(nn.Linear(features, 2 * out_features)), nn.GLU(dim=1))


def gated_conv(channels: int, out_channels: int, kernel: int, halve: bool = False) -> nn.Sequential:
    """`(B, channels, H, W)` to `(B, out_channels, H, W)`, or to sides `ceil(H / 2)` and `ceil(W / 2)`; odd kernels."""
    if halve:
        return nn.Sequential(he_normal(Halve(channels, 2 * out_channels, kernel)), nn.GLU(dim=1))
    conv = nn.Conv2d(channels, 2 * out_channels, kernel, padding=kernel // 2)
    return nn.Sequential(he_normal(conv), nn.GLU(dim=1))


def gated_encoder(shape: tuple[int, ...], features: int) -> nn.Sequential:
    """Five gated convolutions, two of which halve the image, and a linear layer, to `(B, features)`."""
    channels, height, width = shape
    quarter = math.ceil(height / 4) * math.ceil(width / 4)
    return nn.Sequential(
        gated_conv(channels, 32, 7),
        gated_conv(32, 32, 3, halve=True),
        gated_conv(32, 64, 5),
        gated_conv(64, 64, 3, halve=True),
        gated_conv(64, 6, 3),
        nn.Flatten(),
        nn.Linear(6 * quarter, features),
    )


def gated_decoder(shape: tuple[int, ...], latent_size: int) -> nn.Sequential:
    """Gated dense layers to an image, and gated convolutions over it, to `(B, *shape)` free numbers."""
    channels = shape[0]
    return nn.Sequential(
        gated_dense(latent_size, 300),
        gated_dense(300, 300),
        gated_dense(300, math.prod(shape)),
        nn.Unflatten(1, shape),
        gated_conv(channels, 64, 3),
        *(gated_conv(64, 64, 3) for _ in range(3)),
        nn.Conv2d(64, channels, 1),
    )
