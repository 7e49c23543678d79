"""Convolutional encoders and decoders for images of any size. Importing this module imports torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn

from dimecli.nn.init import he_normal


@dataclass(frozen=True)
class ConvNet:
    """Layers of a convolutional autoencoder: what the columns of the papers' architecture tables say.

    The encoder halves both sides of the image once per entry of `encoder_channels` and ends in a
    linear layer. The decoder starts with a linear layer to `decoder_channels[0]` maps, doubles their
    sides once per further entry, and ends in a transposed convolution of stride 1 to the image.
    A ReLU follows every layer but the two last; `*_norms` say which layers have a batch norm before it.
    """

    encoder_channels: tuple[int, ...]
    encoder_norms: tuple[bool, ...]
    decoder_channels: tuple[int, ...]
    decoder_norms: tuple[bool, ...]
    kernel: int  # side of the kernels of stride 2
    last_kernel: int  # side of the decoder's last kernel, of stride 1
    signed: bool  # whether the encoder first maps pixels from [0, 1] to [-1, 1]
    width: float = 1.0  # factor on every number of channels but the image's

    def encoder(self, shape: tuple[int, ...], features: int) -> nn.Sequential:
        """From `(B, C, H, W)` images of that shape to `(B, features)`."""
        channels = (shape[0], *map(self._scaled, self.encoder_channels))
        layers: list[nn.Module] = [Signed()] if self.signed else []
        for (before, after), norm in zip(pairwise(channels), self.encoder_norms, strict=True):
            layers += _activated(Halve(before, after, self.kernel, bias=not norm), after, norm)
        height, width = (_halved(side, len(self.encoder_channels)) for side in shape[1:])
        return nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels[-1] * height * width, features))

    def decoder(
        self, shape: tuple[int, ...], latent_size: int, output: nn.Module, start: Sequence[float] = ()
    ) -> nn.Sequential:
        """From `(B, latent_size)` codes to `(B, C, H, W)` numbers, through `output`.

        At first the numbers of each channel are around its own of `start`, or around 0.
        """
        channels = tuple(map(self._scaled, self.decoder_channels))
        height, width = (_halved(side, len(channels) - 1) for side in shape[1:])
        linear, *activation = _activated(
            nn.Linear(latent_size, channels[0] * height * width), channels[0], self.decoder_norms[0]
        )
        layers = [linear, nn.Unflatten(1, (channels[0], height, width)), *activation]
        for (before, after), norm in zip(pairwise(channels), self.decoder_norms[1:], strict=True):
            layers += _activated(doubling(before, after, self.kernel, bias=not norm), after, norm)
        padding = (self.last_kernel - 1) // 2
        last = nn.ConvTranspose2d(channels[-1], shape[0], self.last_kernel, padding=padding)
        last.bias = nn.Parameter(torch.tensor(start or (0.0,) * shape[0]))
        return nn.Sequential(*layers, last, Crop(*shape[1:]), output)

    def _scaled(self, channels: int) -> int:
        return max(1, round(channels * self.width))


def paper_column(shape: tuple[int, ...]) -> str:
    """Whose layers suit `(C, H, W)` images, in papers that tell those for `mnist`, `cifar10` and `celeba`."""
    if shape[0] == 1:
        return "mnist"
    return "celeba" if min(shape[1:]) >= 64 else "cifar10"


class Halve(nn.Conv2d):
    """A convolution of stride 2 from sides `(H, W)` to `(ceil(H / 2), ceil(W / 2))`.

    An even kernel sees one more row or column of zeros at the end of an odd side.
    """

    def __init__(self, channels: int, out_channels: int, kernel: int, bias: bool = True) -> None:
        super().__init__(channels, out_channels, kernel, stride=2, padding=(kernel - 1) // 2, bias=bias)
        self.even_kernel = kernel % 2 == 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`(B, C, H, W)` to `(B, C', ceil(H / 2), ceil(W / 2))`."""
        odd_height, odd_width = (side % 2 for side in x.shape[-2:])
        if self.even_kernel and (odd_height or odd_width):
            x = F.pad(x, (0, odd_width, 0, odd_height))
        return super().forward(x)


def doubling(channels: int, out_channels: int, kernel: int, bias: bool = True) -> nn.ConvTranspose2d:
    """A transposed convolution of stride 2 from sides `(H, W)` to exactly `(2 H, 2 W)`."""
    padding = (kernel - 1) // 2
    return nn.ConvTranspose2d(channels, out_channels, kernel, 2, padding, output_padding=kernel % 2, bias=bias)


class Crop(nn.Module):
    """Keeps the first `height` rows and `width` columns of `(B, C, H, W)`."""

    def __init__(self, height: int, width: int) -> None:
        super().__init__()
        self.height = height
        self.width = width

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`(B, C, height, width)`."""
        return x[..., : self.height, : self.width]


class Signed(nn.Module):
    """Maps pixels from [0, 1] to [-1, 1]."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`2 x - 1`."""
        return 2 * x - 1


def _activated(layer: nn.Linear | nn.Conv2d | nn.ConvTranspose2d, channels: int, norm: bool) -> list[nn.Module]:
    return [layer, nn.BatchNorm2d(channels), nn.ReLU()] if norm else [he_normal(layer), nn.ReLU()]


def _halved(side: int, times: int) -> int:
    return -(-side >> times)  # rounded up
