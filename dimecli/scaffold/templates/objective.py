"""Sparse codes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from dimecli.lazy import torch
from dimecli.plugin import Loss, Objective

if TYPE_CHECKING:
    from dimecli.model import Autoencoder


class Example(Objective):
    """Sparse codes: a penalty that keeps most entries of a code near 0 (Olshausen and Field, 1996).

    Minimises `-log p(x|z) + w sum_d log(1 + z_d^2)`, with `z` the code of x.
    """

    sparsity: float = Field(0.1, ge=0, description="Weight w of the penalty.")

    def loss(self, model: Autoencoder, x: torch.Tensor, rng: torch.Generator) -> Loss:
        """The negative log-likelihood and the penalty, in nats per sample."""
        z = model.encode(x)  # (B, l)
        penalty = z.square().log1p().sum(1).mean()
        return Loss(reconstruction=self.reconstruction(model, x, z), sparsity=self.sparsity * penalty)
