"""The regularized autoencoder with a spectrally normalised decoder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from dimecli.lazy import nn, torch
from dimecli.plugin import Loss, Network, Objective, Spec
from dimecli_plugins.presets import rae

if TYPE_CHECKING:
    from dimecli.model import Autoencoder


class RAESN(Objective):
    """A regularized autoencoder with a spectrally normalised decoder (RAE-SN, eqs. 15 and 18).

    Minimises `|x - D(z)|^2 + beta |z|^2 / 2` with z = E(x), where each linear and convolution layer of the
    decoder divides its weights by an estimate of their largest singular value, from one step of the
    power method per training step; other layers, recurrent ones among them, stay as they are. A
    kernel counts as the matrix of its output channels by all else. Such a decoder needs codes as far
    apart as the data are, and beta must be small, unless batch norms enlarge what is between its layers,
    as in RAE's own networks. The presets are the weights of the authors' code, which takes the means of
    both terms over their D and l elements, and has no factor 1/2: beta here is 2 D / l times beta there.
    That code normalises the encoder's convolutions as well.
    """

    beta: float = Field(1e-4, ge=0, description="Weight beta of half the squared length of the codes, eq. 15.")
    compat: Literal["paper", "authors"] = Field(
        "paper", description="Normalise the decoder (paper), or also the encoder's convolutions (authors)."
    )

    presets = rae(
        mnist={"beta": 2 * 9e-3 * 32 * 32 / 16, "compat": "authors"},
        cifar10={"beta": 2 * 3e-2 * 3 * 32 * 32 / 128, "compat": "authors"},
        celeba={"beta": 2 * 2.4e-3 * 3 * 64 * 64 / 64, "compat": "authors"},
    )

    def build(self, spec: Spec, network: Network) -> Autoencoder:
        """A deterministic autoencoder with eq. 18 in the decoder's layers."""
        from torch.nn.utils.parametrizations import spectral_norm

        model = super().build(spec, network)
        convolutions = (nn.Conv1d, nn.Conv2d, nn.ConvTranspose1d, nn.ConvTranspose2d)
        layers = [layer for layer in model.decoder.modules() if isinstance(layer, (nn.Linear, *convolutions))]
        if self.compat == "authors":
            layers += [layer for layer in model.encoder.modules() if isinstance(layer, convolutions)]
        for layer in layers:
            spectral_norm(layer)
        return model

    def loss(self, model: Autoencoder, x: torch.Tensor, rng: torch.Generator) -> Loss:
        """Eq. 15; what regularises the decoder is in the model."""
        z = model.encode(x)  # (B, l)
        return Loss(
            reconstruction=self.reconstruction(model, x, z),
            embedding=self.beta * 0.5 * z.square().sum(1).mean(),
        )
