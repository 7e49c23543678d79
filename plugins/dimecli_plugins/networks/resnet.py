"""Residual networks."""

from __future__ import annotations

from pydantic import Field

from dimecli.data.spec import Spec
from dimecli.lazy import nn
from dimecli.plugin import Network


class ResNet(Network):
    """Residual blocks in stages that halve the image, and their mirror (He et al., 2016, Identity Mappings).

    There are as many stages as it takes to get to sides of at most 4: three for 28 and 32 pixels. Each
    doubles the channels. Every convolution stands behind a batch norm and a ReLU; the decoder enlarges
    maps by repeating their pixels.
    """

    width: int = Field(32, ge=1, description="Channels at the size of the image.")
    blocks: int = Field(1, ge=1, description="Residual blocks of two convolutions in each stage.")

    def encoder(self, spec: Spec, features: int) -> nn.Module:
        """A convolution, the stages and a linear layer to `(B, features)`."""
        from dimecli.nn.residual import residual_encoder

        return residual_encoder(spec.shape, features, self.width, self.blocks)

    def decoder(self, spec: Spec, latent_size: int) -> nn.Module:
        """A linear layer, the stages in reverse and a convolution to `(B, C, H, W)`."""
        from dimecli.nn.residual import residual_decoder

        layers = residual_decoder(spec.likelihood.parameters(spec.shape), latent_size, self.width, self.blocks)
        return nn.Sequential(*layers, spec.likelihood.output())
