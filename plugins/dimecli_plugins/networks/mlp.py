"""Fully connected layers."""

from __future__ import annotations

import math
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
        from dimecli.nn.dense import dense

        return nn.Sequential(nn.Flatten(), *dense((spec.elements, *self.widths, features), self._activation))

    def decoder(self, spec: Spec, latent_size: int) -> nn.Module:
        """Codes through the hidden layers in reverse to the likelihood's parameters."""
        from dimecli.nn.dense import dense

        shape = spec.likelihood.parameters(spec.shape)
        layers = dense((latent_size, *reversed(self.widths), math.prod(shape)), self._activation)
        return nn.Sequential(*layers, nn.Unflatten(1, shape), spec.likelihood.output())

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
