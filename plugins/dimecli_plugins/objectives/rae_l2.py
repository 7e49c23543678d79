"""The regularized autoencoder with weight decay on its decoder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from dimecli.lazy import torch
from dimecli.plugin import Loss, Objective
from dimecli_plugins.presets import dime_table2, rae

if TYPE_CHECKING:
    from dimecli.model import Autoencoder


class RAEL2(Objective):
    """A regularized autoencoder with weight decay on its decoder (RAE-L2, eqs. 15-16).

    Minimises `|x - D(z)|^2 + beta |z|^2 / 2 + lambda |theta|^2` with z = E(x), theta the decoder's
    kernels and matrices: neither biases nor norms, and nothing of the encoder. The presets `rae-*` are the
    weights of the authors' code, which takes the means of the first two terms over their D and l elements,
    and has no factor 1/2: beta here is 2 D / l times, lambda D times that there. (Their code also spares
    the decoder's first layer.) `dime-table2` has the weights of pythae's benchmark on MNIST, from which
    DIME took its row; they are a decay of the optimiser there, the gradient of half the squares.
    """

    beta: float = Field(1e-2, ge=0, description="Weight beta of half the squared length of the codes, eq. 15.")
    lam: float = Field(
        1e-4, ge=0, validation_alias="lambda", description="Weight lambda of the decoder's squared weights, eq. 16."
    )

    presets = {
        **rae(
            mnist={"beta": 2 * 1e-4 * 32 * 32 / 16, "lambda": 1e-7 * 32 * 32},
            cifar10={"beta": 2 * 1e-3 * 3 * 32 * 32 / 128, "lambda": 1e-6 * 3 * 32 * 32},
            celeba={"beta": 2 * 1e-4 * 3 * 64 * 64 / 64, "lambda": 1e-7 * 3 * 64 * 64},
        ),
        "dime-table2": dime_table2({"beta": 1e-2, "lambda": 1e-4 / 2}),
    }

    def loss(self, model: Autoencoder, x: torch.Tensor, rng: torch.Generator) -> Loss:
        """Eq. 15 with eq. 16 as L_REG."""
        z = model.encode(x)  # (B, l)
        squares = [weight.square().sum() for weight in model.decoder.parameters() if weight.dim() > 1]
        return Loss(
            reconstruction=self.reconstruction(model, x, z),
            embedding=self.beta * 0.5 * z.square().sum(1).mean(),
            weights=self.lam * torch.stack(squares).sum(),
        )
