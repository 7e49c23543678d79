"""Two layers."""

from __future__ import annotations

import math

from pydantic import Field

from dimecli.lazy import nn
from dimecli.plugin import Network, Spec


class Example(Network):
    """Two linear layers with a GELU between them, for the encoder and for the decoder."""

    width: int = Field(256, ge=1, description="Units between the two layers.")

    modalities = frozenset({"image", "vector"})

    def encoder(self, spec: Spec, features: int) -> nn.Module:
        """From `(B, *shape)` to `(B, features)`."""
        return nn.Sequential(
            nn.Flatten(), nn.Linear(spec.elements, self.width), nn.GELU(), nn.Linear(self.width, features)
        )

    def decoder(self, spec: Spec, latent_size: int) -> nn.Module:
        """From `(B, latent_size)` to the parameters of the likelihood."""
        shape = spec.likelihood.parameters(spec.shape)
        layers = nn.Linear(latent_size, self.width), nn.GELU(), nn.Linear(self.width, math.prod(shape))
        return nn.Sequential(*layers, nn.Unflatten(1, shape), spec.likelihood.output())
