"""The convolutional networks of the InfoMax-VAE paper."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Literal

from pydantic import Field

from dimecli.data.spec import Spec
from dimecli.lazy import nn
from dimecli.plugin import Network

_ENCODERS = {"mnist": (28, 28, 56, 118), "cifar10": (32, 32, 64, 128), "celeba": (32, 64, 128, 256)}
_DECODERS = {
    "mnist": (118, 118, 56, 28, 28),
    "cifar10": (128, 128, 64, 64, 32),
    "celeba": (256, 128, 128, 64, 32, 32),
}


class InfoMaxConv(Network):
    """4 x 4 convolutions of the InfoMax-VAE paper (Tables 5, 6 and 8), sized for images of any height, width, channels.

    The encoder halves the image four times. Its last convolution, of stride 1, is a linear layer over
    all maps that are left: at the paper's sizes the two are the same. The decoder starts from maps of a
    32nd of the image's sides (a 64th in celeba's column), one pixel at the paper's sizes, where its
    1 x 1 convolution of the code is a linear layer, and doubles them; sides that double past those of
    the halved image are cropped, so that 28 pixels come from 14 and 7.

    The printed column for MNIST lacks the last rows of both parts, which cifar10's and celeba's have:
    here they are added. Its 118 channels are what the table says. There are no batch norms.
    """

    column: Literal["auto", "mnist", "cifar10", "celeba"] = Field(
        "auto",
        description="mnist is Table 5, cifar10 Table 6, celeba Table 8; auto is mnist for one channel, celeba for "
        "colour images of 64 pixels and more, else cifar10.",
    )

    def encoder(self, spec: Spec, features: int) -> nn.Module:
        """Four convolutions of stride 2 and a linear layer to `(B, features)`."""
        from dimecli.nn.conv import Halve
        from dimecli.nn.init import he_normal

        channels, *sides = spec.shape
        column = self._column(spec)
        layers: list[nn.Module] = []
        for before, after in pairwise((channels, *_ENCODERS[column])):
            activation = nn.LeakyReLU(0.2) if column == "celeba" else nn.ReLU()
            layers += [he_normal(Halve(before, after, kernel=4)), activation]
        left = math.prod(math.ceil(side / 16) for side in sides)
        return nn.Sequential(*layers, nn.Flatten(), nn.Linear(_ENCODERS[column][-1] * left, features))

    def decoder(self, spec: Spec, latent_size: int) -> nn.Module:
        """A linear layer and transposed convolutions of stride 2 to `(B, C, H, W)`."""
        from dimecli.nn.conv import Crop, doubling
        from dimecli.nn.init import he_normal

        channels, *sides = spec.likelihood.parameters(spec.shape)
        hidden = _DECODERS[self._column(spec)]
        sizes = [tuple(math.ceil(side / 2**times) for side in sides) for times in range(len(hidden), -1, -1)]
        linear = he_normal(nn.Linear(latent_size, hidden[0] * math.prod(sizes[0])))
        layers: list[nn.Module] = [linear, nn.Unflatten(1, (hidden[0], *sizes[0])), nn.ReLU()]
        for (before, after), size in zip(pairwise(hidden), sizes[1:-1], strict=True):
            layers += [he_normal(doubling(before, after, kernel=4)), Crop(*size), nn.ReLU()]
        return nn.Sequential(*layers, doubling(hidden[-1], channels, kernel=4), Crop(*sides), spec.likelihood.output())

    def _column(self, spec: Spec) -> str:
        from dimecli.nn.conv import paper_column

        return paper_column(spec.shape) if self.column == "auto" else self.column
