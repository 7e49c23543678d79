"""The regularized autoencoder with a penalty on the gradient of its decoder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from dimecli.lazy import torch
from dimecli.plugin import Loss, Objective
from dimecli_plugins.presets import rae

if TYPE_CHECKING:
    from dimecli.model import Autoencoder


class RAEGP(Objective):
    """A regularized autoencoder whose decoder has a small Jacobian (RAE-GP, eqs. 15 and 17).

    Minimises `|x - D(z)|^2 + beta |z|^2 / 2 + lambda |D'(z)|_F^2` with z = E(x), D'(z) the `(D, l)` Jacobian
    of the decoder's output (logits, unless the data are Gaussian) by the code. To first order, noise of
    variance lambda on the codes would add as much. The norm is estimated without bias, along random
    directions of the output. `--compat authors` has what the authors' code computes in its place, the
    squared gradient of `|D(z)|^2`. The presets are that code's weights, for which beta here is 2 D / l
    times, lambda D / l times that there, as it takes means over the D and l elements of all terms.
    """

    beta: float = Field(1e-2, ge=0, description="Weight beta of half the squared length of the codes, eq. 15.")
    lam: float = Field(
        1e-2, ge=0, validation_alias="lambda", description="Weight lambda of the penalty on the gradient, eq. 17."
    )
    probes: int = Field(1, ge=1, description="Directions along which the Jacobian's norm is estimated in each sample.")
    compat: Literal["paper", "authors"] = Field(
        "paper", description="Penalise the Jacobian of D (paper, eq. 17), or the gradient of |D(z)|^2 (authors)."
    )

    presets = rae(
        mnist={"beta": 2 * 1e-4 * 32 * 32 / 16, "lambda": 5e-8 * 32 * 32 / 16, "compat": "authors"},
        # in the authors' code the penalty is off here
        cifar10={"beta": 2 * 9e-4 * 3 * 32 * 32 / 128, "lambda": 0.0, "compat": "authors"},
        celeba={"beta": 2 * 1e-4 * 3 * 64 * 64 / 64, "lambda": 1e-7 * 3 * 64 * 64 / 64, "compat": "authors"},
    )

    def loss(self, model: Autoencoder, x: torch.Tensor, rng: torch.Generator) -> Loss:
        """Eq. 15 with eq. 17 as L_REG."""
        from dimecli.nn.second_order import second_derivatives, squared_jacobian_norm

        z = model.encode(x)  # (B, l)
        with second_derivatives(model.decoder):
            if not z.requires_grad:  # without gradients, as in validation
                z = z.detach().requires_grad_()
            output = model.decode(z, x)
            summed = output.flatten(1).square().sum(1, keepdim=True)  # (B, 1), whose Jacobian is its gradient
        penalty = squared_jacobian_norm(summed if self.compat == "authors" else output, z, self.probes, rng)
        return Loss(
            reconstruction=self.reconstruction(model, x, z, output),
            embedding=self.beta * 0.5 * z.square().sum(1).mean(),
            gradient=self.lam * penalty.mean(),
        )
