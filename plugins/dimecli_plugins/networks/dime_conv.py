"""The convolutional networks of the DIME paper."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from dimecli.data.likelihood import Gaussian, LocationScale
from dimecli.data.spec import Spec
from dimecli.errors import UserError
from dimecli.lazy import nn
from dimecli.plugin import Network

if TYPE_CHECKING:
    from dimecli.nn.conv import ConvNet


class DimeConv(Network):
    """Convolutions of the DIME paper (Table 6), sized for images of any height, width and channels.

    Where the printed table contradicts itself (556 and 8096 channels, a CIFAR-10 image of 64 pixels,
    a grey image of 3 channels) the layers are those that its sizes ask for: mnist and cifar10 have
    4 x 4 kernels, celeba 5 x 5; cifar10 and celeba map pixels to [-1, 1] first; the code follows the
    flattened maps without a further layer; the decoder starts from maps of an eighth (celeba) or a
    quarter of the image's sides. A layer with a batch norm has no bias, which the norm would cancel.

    The mnist column has no norm and ends, by default, in a sigmoid, for images that are mostly black:
    from grey, the first ten steps of Adam carry it into the sigmoid's flat end, for good, unless the
    learning rate is far below the paper's 5e-3. So its pixels start at sigmoid(-2) = 0.12.
    """

    column: Literal["auto", "mnist", "cifar10", "celeba"] = Field(
        "auto",
        description="Column of Table 6; auto is mnist for one channel, celeba for colour images of 64 pixels and more, "
        "else cifar10.",
    )
    output: Literal["sigmoid", "tanh"] = Field(
        "sigmoid",
        description="End of the decoder: what the likelihood asks for (sigmoid for pixels), or the tanh of Table 6's "
        "mnist column, whose negative pixels are clipped to 0 in pictures.",
    )
    width: float = Field(1.0, gt=0, description="Factor on the channels of every layer.")

    def encoder(self, spec: Spec, features: int) -> nn.Module:
        """Four convolutions of stride 2 and a linear layer to `(B, features)`."""
        return self._net(self._column(spec)).encoder(spec.shape, features)

    def decoder(self, spec: Spec, latent_size: int) -> nn.Module:
        """A linear layer, transposed convolutions of stride 2 and one of stride 1 to `(B, C, H, W)`.

        Raises:
            UserError: tanh is asked for, but the data are no pixels with a Gaussian likelihood of a fixed variance.
        """
        likelihood, column = spec.likelihood, self._column(spec)
        bounded = isinstance(likelihood, LocationScale) and likelihood.bounded
        net, shape = self._net(column), likelihood.parameters(spec.shape)
        if self.output == "tanh":
            if not (bounded and isinstance(likelihood, Gaussian) and likelihood.noise == "fixed"):
                raise UserError(
                    "--output tanh needs pixels in [0, 1] with a Gaussian likelihood of a fixed variance, got "
                    f"{likelihood.options()}; use --output sigmoid"
                )
            return net.decoder(shape, latent_size, nn.Tanh())
        pixels = likelihood.name == "bernoulli" or bounded
        means = spec.shape[0] if column == "mnist" and pixels else 0  # further channels are of the noise
        start = (-2.0,) * means + (0.0,) * (shape[0] - means)
        return net.decoder(shape, latent_size, likelihood.output(), start)

    def _column(self, spec: Spec) -> str:
        from dimecli.nn.conv import paper_column

        return paper_column(spec.shape) if self.column == "auto" else self.column

    def _net(self, column: str) -> ConvNet:
        from dimecli.nn.conv import ConvNet

        if column == "mnist":
            return ConvNet(
                encoder_channels=(32, 64, 128, 256),
                encoder_norms=(False,) * 4,
                decoder_channels=(128, 64, 32),
                decoder_norms=(False,) * 3,
                kernel=4,
                last_kernel=1,
                signed=False,
                width=self.width,
            )
        celeba = column == "celeba"
        return ConvNet(
            encoder_channels=(128, 256, 512, 1024),
            encoder_norms=(True, True, True, celeba),
            decoder_channels=(1024, 512, 256, 128) if celeba else (1024, 512, 256),
            decoder_norms=(False, True, True, True) if celeba else (False, True, True),
            kernel=5 if celeba else 4,
            last_kernel=5 if celeba else 3,
            signed=True,
            width=self.width,
        )
