"""The plain autoencoder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dimecli.lazy import torch
from dimecli.plugin import Loss, Objective

if TYPE_CHECKING:
    from dimecli.model import Autoencoder


class AE(Objective):
    """Reconstruction alone: a deterministic autoencoder with unconstrained codes."""

    def loss(self, model: Autoencoder, x: torch.Tensor, rng: torch.Generator) -> Loss:
        """The negative log-likelihood of x given its code."""
        return Loss(reconstruction=self.reconstruction(model, x, model.encode(x)))
