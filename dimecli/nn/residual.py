"""Residual encoders and decoders for images of any size. Importing this module imports torch."""

from __future__ import annotations

import math

from torch import Tensor, nn

SMALLEST = 4
"""Maps are halved until no side is longer."""


class ResidualBlock(nn.Module):
    """The input plus two convolutions of it, each behind a batch norm and a ReLU (He et al., 2016, Identity Mappings).

    Where channels or sides change, the input passes a 1 x 1 convolution on its way.
    """

    def __init__(self, channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, out_channels, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(),
            nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False),
        )
        same = channels == out_channels and stride == 1
        self.shortcut = nn.Identity() if same else nn.Conv2d(channels, out_channels, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """`(B, C, H, W)` to `(B, C', ceil(H / stride), ceil(W / stride))`."""
        y: Tensor = self.shortcut(x) + self.residual(x)
        return y


def residual_encoder(shape: tuple[int, ...], features: int, width: int, blocks: int) -> nn.Sequential:
    """A convolution to `width` channels, stages that halve the sides and double the channels, and a linear layer."""
    *stages, smallest = _sizes(shape)
    layers: list[nn.Module] = [nn.Conv2d(shape[0], width, 3, padding=1, bias=False)]
    for _ in stages:
        layers += [ResidualBlock(width, 2 * width, stride=2), *_further(2 * width, blocks)]
        width *= 2
    linear = nn.Linear(width * math.prod(smallest), features)
    return nn.Sequential(*layers, nn.BatchNorm2d(width), nn.ReLU(), nn.Flatten(), linear)


def residual_decoder(shape: tuple[int, ...], latent_size: int, width: int, blocks: int) -> nn.Sequential:
    """The encoder mirrored, with a nearest-neighbour enlargement in each stage, to `(B, *shape)` free numbers."""
    *stages, smallest = _sizes(shape)
    channels = width * 2 ** len(stages)
    layers: list[nn.Module] = [nn.Linear(latent_size, channels * math.prod(smallest))]
    layers += [nn.Unflatten(1, (channels, *smallest))]
    for size in reversed(stages):
        channels //= 2
        layers += [nn.Upsample(size), ResidualBlock(2 * channels, channels), *_further(channels, blocks)]
    return nn.Sequential(*layers, nn.BatchNorm2d(width), nn.ReLU(), nn.Conv2d(width, shape[0], 3, padding=1))


def _further(channels: int, blocks: int) -> list[nn.Module]:
    return [ResidualBlock(channels, channels) for _ in range(blocks - 1)]


def _sizes(shape: tuple[int, ...]) -> list[tuple[int, int]]:
    """Height and width of the image, and of the maps after each stage of the encoder."""
    height, width = shape[1:]
    sizes = [(height, width)]
    while max(sizes[-1]) > SMALLEST:
        sizes.append(((sizes[-1][0] + 1) // 2, (sizes[-1][1] + 1) // 2))
    return sizes
