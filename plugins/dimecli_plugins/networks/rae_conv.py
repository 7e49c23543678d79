"""The convolutional networks of the RAE paper."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from dimecli.data.spec import Spec
from dimecli.lazy import nn
from dimecli.plugin import Network

if TYPE_CHECKING:
    from dimecli.nn.conv import ConvNet


class RaeConv(Network):
    """Convolutions of the RAE paper (Appendix A), sized for images of any height, width and channels.

    Kernels are 4 x 4, and 5 x 5 for images of 64 pixels and more, whose decoder has a layer more.
    Pixels are mapped to [-1, 1] first. A layer with a batch norm has no bias, which the norm would cancel.
    """

    width: float = Field(1.0, gt=0, description="Factor on the channels of every layer.")

    def encoder(self, spec: Spec, features: int) -> nn.Module:
        """Four convolutions of stride 2 and a linear layer to `(B, features)`."""
        return self._net(spec).encoder(spec.shape, features)

    def decoder(self, spec: Spec, latent_size: int) -> nn.Module:
        """A linear layer, transposed convolutions of stride 2 and one of stride 1 to `(B, C, H, W)`."""
        return self._net(spec).decoder(spec.likelihood.parameters(spec.shape), latent_size, spec.likelihood.output())

    def _net(self, spec: Spec) -> ConvNet:
        from dimecli.nn.conv import ConvNet

        large = min(spec.shape[1:]) >= 64
        decoder_channels = (1024, 512, 256, 128) if large else (1024, 512, 256)
        kernel = 5 if large else 4
        return ConvNet(
            encoder_channels=(128, 256, 512, 1024),
            encoder_norms=(True,) * 4,
            decoder_channels=decoder_channels,
            decoder_norms=(True,) * len(decoder_channels),
            kernel=kernel,
            last_kernel=kernel,
            signed=True,
            width=self.width,
        )
