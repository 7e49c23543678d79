"""The gated convolutional network of the VampPrior and MIM papers."""

from __future__ import annotations

from dimecli.data.spec import Spec
from dimecli.lazy import nn
from dimecli.plugin import Network


class GatedConv(Network):
    """Gated convolutions, `a * sigmoid(b)` with a and b linear in the input: convHVAE (VampPrior, MIM).

    The encoder has 32 maps (7 x 7), 32 (stride 2), 64 (5 x 5), 64 (stride 2) and 6, and a linear layer;
    the decoder two gated layers of 300 units, one that gives an image, four gated convolutions of 64
    maps over it and a 1 x 1 convolution. Kernels are 3 x 3 where no size is named. Of images of any
    height, width and channels.
    """

    def encoder(self, spec: Spec, features: int) -> nn.Module:
        """Gated convolutions and a linear layer to `(B, features)`."""
        from dimecli.nn.gated import gated_encoder

        return gated_encoder(spec.shape, features)

    def decoder(self, spec: Spec, latent_size: int) -> nn.Module:
        """Gated dense layers and gated convolutions to `(B, C, H, W)`."""
        from dimecli.nn.gated import gated_decoder

        layers = gated_decoder(spec.likelihood.parameters(spec.shape), latent_size)
        return nn.Sequential(*layers, spec.likelihood.output())
