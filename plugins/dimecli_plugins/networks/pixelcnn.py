"""Autoregressive decoders of images."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from dimecli.data.spec import Spec
from dimecli.errors import UserError
from dimecli.lazy import nn
from dimecli.plugin import Network


class PixelCNN(Network):
    """A decoder that gives each pixel its law given the code and the pixels before it: PixelHVAE, PixelVAE.

    The encoder is gated-conv's (VampPrior, MIM) or that of the resnet (InfoMax-VAE, section 6.3). In the
    decoder, a gated dense layer makes an image of the code, which masked 3 x 3 convolutions see beside x,
    each followed by a batch norm and a ReLU; a 1 x 1 convolution ends it (van den Oord et al., 2016).
    Training gives it the data's pixels (teacher forcing); colours follow each other in red, green and
    blue. With n layers a pixel sees those up to n rows above and n columns to the left, and in a row
    r above its own up to r columns to the right.

    VampPrior's code hides by the first mask also what the code says of the pixel itself. Here the code
    is seen everywhere: it is no pixel. Draws want a likelihood whose noise is that of the data
    (Bernoulli, logistic, a learned noise): each pixel is given the noise of those before it.
    """

    encoder_layers: Literal["gated-conv", "resnet"] = Field(
        "gated-conv", validation_alias="encoder", description="The network whose encoder is taken."
    )
    channels: int = Field(64, ge=1, description="Maps of each masked convolution; at least as many as the image has.")
    layers: int = Field(8, ge=1, description="Masked 3 x 3 convolutions: 8 in PixelHVAE, 12 in InfoMax-VAE's PixelVAE.")

    def encoder(self, spec: Spec, features: int) -> nn.Module:
        """Convolutions and a linear layer to `(B, features)`."""
        if self.encoder_layers == "resnet":
            from dimecli.nn.residual import residual_encoder

            return residual_encoder(spec.shape, features, width=32, blocks=1)
        from dimecli.nn.gated import gated_encoder

        return gated_encoder(spec.shape, features)

    def decoder(self, spec: Spec, latent_size: int) -> nn.Module:
        """An autoregressive module from `(B, latent_size)` codes and `(B, C, H, W)` images to parameters.

        Raises:
            UserError: there are fewer maps than colours, so that some would have none.
        """
        from dimecli.nn.masked import PixelCNNDecoder

        if self.channels < spec.shape[0]:
            raise UserError(f"--channels {self.channels}: the image has {spec.shape[0]}, each needs one at least")
        parameters, output = spec.likelihood.parameters(spec.shape), spec.likelihood.output()
        return PixelCNNDecoder(spec.shape, parameters, latent_size, self.channels, self.layers, output)
