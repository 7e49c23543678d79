"""The implicitly rank-minimising autoencoder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from dimecli.lazy import nn, torch
from dimecli.plugin import Loss, Network, Objective, Spec

if TYPE_CHECKING:
    from dimecli.model import Autoencoder


class IRMAE(Objective):
    """Codes of a low rank, which gradient descent finds by itself through linear layers (IRMAE, Jing et al. 2020).

    Minimises `|x - D(z)|^2` with `z = W_L ... W_1 E(x)`, the W square matrices without biases. A product of
    matrices could be one matrix, but its gradient grows the directions that are large already, so that
    few singular values of the codes' covariance stay above zero. Codes are what the last matrix gives.
    More layers lower the rank further, and need longer training: after 40 epochs on the bundled digits
    the squared error is twice that without any for 2 layers, and seven times that for 8. The preset is the
    authors' program for MNIST.
    """

    latent_size: int = Field(128, ge=1, description="Dimension l of the codes: more than the data need.")
    layers: int = Field(2, ge=1, description="Linear layers behind the encoder.")

    presets = {
        "authors-code": {
            "objective": {"latent_size": 128, "layers": 8},
            "dataset": {"name": "mnist", "fit": "resize"},
            "train": {"epochs": 100, "batch_size": 32, "lr": 1e-4},
        },
    }

    def build(self, spec: Spec, network: Network) -> Autoencoder:
        """A deterministic autoencoder with linear layers behind its encoder, whose weights torch draws."""
        model = super().build(spec, network)
        stack = (nn.Linear(self.latent_size, self.latent_size, bias=False) for _ in range(self.layers))
        model.encoder = nn.Sequential(model.encoder, *stack)
        return model

    def loss(self, model: Autoencoder, x: torch.Tensor, rng: torch.Generator) -> Loss:
        """The reconstruction alone."""
        return Loss(reconstruction=self.reconstruction(model, x, model.encode(x)))
