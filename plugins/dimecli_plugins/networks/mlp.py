"""Fully connected layers."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field

from dimecli.data.spec import Spec
from dimecli.lazy import nn
from dimecli.plugin import Network


class MLP(Network):
    """Fully connected layers, the decoder's mirroring the encoder's.

    Takes images, flattened, as well as vectors. Without hidden layers the autoencoder is linear.
    """

    modalities = frozenset({"image", "vector"})

    widths: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        (512, 256), description="Units of the encoder's hidden layers; the decoder has them in reverse."
    )
    activation: Literal["relu", "leaky-relu", "softplus", "tanh"] = Field(
        "relu", description="Function after every hidden layer; leaky-relu has slope 0.2 below 0."
    )

    def encoder(self, spec: Spec, features: int) -> nn.Module:
        """Flattened data through the hidden layers to `(B, features)`."""
        return nn.Sequential(nn.Flatten(), *self._layers((spec.elements, *self.widths), features))

    def decoder(self, spec: Spec, latent_size: int) -> nn.Module:
        """Codes through the hidden layers in reverse to the likelihood's parameters."""
        shape = spec.likelihood.parameters(spec.shape)
        layers = self._layers((latent_size, *reversed(self.widths)), math.prod(shape))
        return nn.Sequential(*layers, nn.Unflatten(1, shape), spec.likelihood.output())

    def _layers(self, sizes: tuple[int, ...], last: int) -> list[nn.Module]:
        from dimecli.nn.init import he_normal

        layers: list[nn.Module] = []
        for before, after in pairwise(sizes):
            layers += [he_normal(nn.Linear(before, after)), self._activation()]
        return [*layers, nn.Linear(sizes[-1], last)]

    def _activation(self) -> nn.Module:
        match self.activation:
            case "relu":
                return nn.ReLU()
            case "leaky-relu":
                return nn.LeakyReLU(0.2)
            case "softplus":
                return nn.Softplus()
            case "tanh":
                return nn.Tanh()
