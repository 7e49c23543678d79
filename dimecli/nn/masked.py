"""Masked convolutions, and the decoder made of them. Importing this module imports torch."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from dimecli.data.likelihood import Bernoulli, Likelihood
from dimecli.model import Autoregressive
from dimecli.nn.gated import gated_dense


class MaskedConv2d(nn.Conv2d):
    """A convolution that sees, from each pixel, those before it in raster order (van den Oord et al., 2016).

    Those above and to the left in the kernel's reach are seen whole. The maps belong in turn to the
    image's colours: at the pixel itself, those of a colour see those of earlier colours (mask A), and
    with `current` of their own as well (mask B). The kernel's rows below the pixel, which would be
    masked wholly, are left out. The mask is applied to a copy: the weights stay as they are.
    """

    def __init__(
        self, channels: int, out_channels: int, kernel: int, colours: int, current: bool, bias: bool = False
    ) -> None:
        rows, column = (kernel + 1) // 2, kernel // 2
        super().__init__(channels, out_channels, (rows, kernel), bias=bias)
        source = torch.arange(channels) % colours
        target = torch.arange(out_channels)[:, None] % colours
        self.mask: torch.Tensor
        self.register_buffer("mask", torch.ones_like(self.weight, requires_grad=False), persistent=False)
        self.mask[:, :, -1, column] = source <= target if current else source < target
        self.mask[:, :, -1, column + 1 :] = 0
        self.margin = (column, column, rows - 1, 0)  # left, right, above, below

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`(B, C, H, W)` to `(B, C', H, W)`."""
        return F.conv2d(F.pad(x, self.margin), self.weight * self.mask, self.bias)


class PixelCNNDecoder(Autoregressive):
    """Parameters of each pixel, and colour of it, given the code and those before it.

    The code becomes an image whose maps are added to those of x in the first layer. No mask hides them:
    the code is no pixel, and all of it is known before the first.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        parameters: tuple[int, ...],
        latent_size: int,
        channels: int,
        layers: int,
        output: nn.Module,
    ) -> None:
        super().__init__()
        colours = shape[0]
        self.shape = shape
        self.code = nn.Sequential(
            gated_dense(latent_size, math.prod(shape)),
            nn.Unflatten(1, shape),
            nn.Conv2d(colours, channels, 3, padding=1, bias=False),
        )
        first = MaskedConv2d(colours, channels, 3, colours, current=False)
        further = (MaskedConv2d(channels, channels, 3, colours, current=True) for _ in range(layers - 1))
        self.layers = nn.ModuleList((first, *further))
        self.norms = nn.ModuleList(nn.BatchNorm2d(channels) for _ in range(layers))
        self.last = MaskedConv2d(channels, parameters[0], 1, colours, current=True, bias=True)
        self.output = output

    def forward(self, z: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """`(B, latent_size)` codes and `(B, C, H, W)` images to `(B, *parameters)`."""
        h, code = x, self.code(z)
        for number, (layer, norm) in enumerate(zip(self.layers, self.norms, strict=True)):
            h = F.relu(norm(layer(h) + code if number == 0 else layer(h)))
        parameters: torch.Tensor = self.output(self.last(h))
        return parameters

    @torch.no_grad()
    def generate(
        self, z: torch.Tensor, likelihood: Likelihood, rng: torch.Generator | None, reserve: bool
    ) -> torch.Tensor:
        """`(B, C, H, W)` images, pixel after pixel and colour after colour, without gradients.

        Each is fed back as it is returned: a draw, or without `rng` the likelihood's estimate, of a
        Bernoulli the more probable of 0 and 1, because the probability itself is no pixel that
        training has seen. The norms use their running statistics in training mode as well.
        """
        colours, height, width = self.shape
        scales, shifts = zip(*map(_affine, self.norms), strict=True)
        weights = [_taps(layer) * scale for layer, scale in zip(self.layers, scales, strict=True)]
        starts = self.code(z).permute(2, 3, 0, 1) * scales[0] + shifts[0]  # (H, W, B, channels)
        # For each layer, the maps of the row above and of this row: (B, 2, W + 2, channels), with zeros around.
        rows = [z.new_zeros(len(z), 2, width + 2, layer.in_channels) for layer in (*self.layers, self.last)]
        x = z.new_zeros(len(z), *self.shape)
        for row in range(height):
            for maps in rows:
                maps[:, 0] = maps[:, 1]
            for column in range(width):
                for colour in range(colours):
                    parameters = self._pixel(rows, column, weights, (starts[row, column], *shifts[1:]))
                    value = _choose(likelihood, parameters, rng)[:, colour, 0, 0]
                    x[:, colour, row, column] = rows[0][:, 1, column + 1, colour] = value
        return x

    def _pixel(
        self, rows: list[torch.Tensor], column: int, weights: list[torch.Tensor], shifts: tuple[torch.Tensor, ...]
    ) -> torch.Tensor:
        """`(B, *, 1, 1)` parameters of one pixel; its maps are kept in `rows`."""
        for maps, further, weight, shift in zip(rows[:-1], rows[1:], weights, shifts, strict=True):
            seen = torch.cat((maps[:, 0, column : column + 3], maps[:, 1, column : column + 2]), 1)
            further[:, 1, column + 1] = torch.addmm(shift, seen.flatten(1), weight).relu()
        parameters: torch.Tensor = self.output(self.last(rows[-1][:, 1, column + 1, :, None, None]))
        return parameters


def _taps(conv: Any) -> torch.Tensor:
    """`(5 C, C')`: what the five pixels that a masked kernel of side 3 sees, its own last, are multiplied by."""
    weight: torch.Tensor = conv.weight * conv.mask
    return weight.flatten(2)[..., :5].permute(2, 1, 0).flatten(0, 1)


def _affine(norm: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Factor and shift that a batch norm applies to its channels in eval mode."""
    scale = norm.weight / (norm.running_var + norm.eps).sqrt()
    return scale, norm.bias - norm.running_mean * scale


def _choose(likelihood: Likelihood, parameters: torch.Tensor, rng: torch.Generator | None) -> torch.Tensor:
    if rng is not None:
        return likelihood.sample(parameters, rng)
    estimate = likelihood.estimate(parameters)
    return estimate.round() if isinstance(likelihood, Bernoulli) else estimate
