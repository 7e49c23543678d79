"""The contractive autoencoder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from dimecli.lazy import F, torch
from dimecli.plugin import Loss, Objective

if TYPE_CHECKING:
    from dimecli.model import Autoencoder


class ContractiveAE(Objective):
    """A deterministic autoencoder whose encoder has a small Jacobian (Rifai et al. 2011, eqs. 1 and 4).

    Minimises `|x - D(z)|^2 + lambda |E'(x)|_F^2` with z = E(x), E'(x) the `(l, D)` Jacobian; that of sentences is
    by the one-hot weights of their symbols. The norm is estimated without bias along random directions
    of the code, and exact with l probes. The paper ties the decoder's weights to the encoder's; here
    they are free, and small codes with a decoder of large weights lower the penalty as well.
    """

    lam: float = Field(
        1e-2, ge=0, validation_alias="lambda", description="Weight lambda of the encoder's squared Jacobian, eq. 4."
    )
    probes: int = Field(1, ge=1, description="Directions along which the Jacobian's norm is estimated in each sample.")

    def loss(self, model: Autoencoder, x: torch.Tensor, rng: torch.Generator) -> Loss:
        """Eq. 4: the reconstruction and lambda times the squared norm of the encoder's Jacobian."""
        from dimecli.nn.second_order import second_derivatives, squared_jacobian_norm

        inputs = x
        if model.spec.modality == "sentence":
            symbols = model.spec.likelihood.parameters(model.spec.shape)[-1]
            inputs = F.one_hot(x.long(), symbols).to(next(model.encoder.parameters()).dtype)  # (B, T, V)
        with second_derivatives(model.encoder):
            inputs = inputs.detach().requires_grad_()
            z = model.encode(inputs)  # (B, l)
        jacobian = squared_jacobian_norm(z, inputs, self.probes, rng)
        return Loss(reconstruction=self.reconstruction(model, x, z), contraction=self.lam * jacobian.mean())
