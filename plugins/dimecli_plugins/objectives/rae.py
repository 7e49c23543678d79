"""The regularized autoencoder without a penalty on its decoder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from dimecli.lazy import torch
from dimecli.plugin import Loss, Objective
from dimecli_plugins.presets import rae

if TYPE_CHECKING:
    from dimecli.model import Autoencoder


class RAE(Objective):
    """A deterministic autoencoder whose codes are kept small (RAE, eq. 15 without L_REG).

    Minimises `|x - D(z)|^2 + beta |z|^2 / 2` with z = E(x). Codes have no prior: fit a density to them
    and sample from that. The presets are the weights of the authors' code, which takes the means of both
    terms over their D and l elements, and has no factor 1/2: beta here is 2 D / l times beta there.
    """

    beta: float = Field(1e-2, ge=0, description="Weight beta of half the squared length of the codes, eq. 15.")

    presets = rae(
        mnist={"beta": 2 * 5e-4 * 32 * 32 / 16},
        cifar10={"beta": 2 * 1e-2 * 3 * 32 * 32 / 128},
        celeba={"beta": 2 * 1e-4 * 3 * 64 * 64 / 64},
    )

    def loss(self, model: Autoencoder, x: torch.Tensor, rng: torch.Generator) -> Loss:
        """Eq. 15: the reconstruction and beta times half the squared length of the code."""
        z = model.encode(x)  # (B, l)
        return Loss(
            reconstruction=self.reconstruction(model, x, z),
            embedding=self.beta * 0.5 * z.square().sum(1).mean(),
        )
