"""The low-rank autoencoder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from dimecli.lazy import nn, torch
from dimecli.plugin import Loss, Network, Objective, Spec

if TYPE_CHECKING:
    from dimecli.model import Autoencoder


class LoRAE(Objective):
    """Codes of a low rank, by the nuclear norm of a linear layer behind the encoder (LoRAE, Mazumder et al. 2024).

    Minimises `|x - D(z)|^2 + lambda |M|_*` with `z = M E(x)`, M a square matrix without a bias and `|M|_*`
    the sum of its singular values. The preset is the default of the authors' program, which takes the
    mean of the squared error: lambda here is D times that there.
    """

    latent_size: int = Field(128, ge=1, description="Dimension l of the codes: more than the data need.")
    lam: float = Field(
        1e-2, ge=0, validation_alias="lambda", description="Weight lambda of the nuclear norm of the matrix M."
    )

    presets = {
        "authors-code": {
            "objective": {"lambda": 1e-5 * 32 * 32, "latent_size": 256},
            "dataset": {"name": "mnist", "fit": "resize"},
            "train": {"epochs": 100, "batch_size": 100, "lr": 1e-4},
        },
    }

    def build(self, spec: Spec, network: Network) -> Autoencoder:
        """A deterministic autoencoder with a linear layer behind its encoder."""
        model = super().build(spec, network)
        model.encoder = nn.Sequential(model.encoder, nn.Linear(self.latent_size, self.latent_size, bias=False))
        return model

    def loss(self, model: Autoencoder, x: torch.Tensor, rng: torch.Generator) -> Loss:
        """The reconstruction and lambda times the nuclear norm of M."""
        from dimecli.nn.nuclear import nuclear_norm

        return Loss(
            reconstruction=self.reconstruction(model, x, model.encode(x)),
            rank=self.lam * nuclear_norm(model.encoder[1].weight),  # type: ignore[index]  # as built above
        )
