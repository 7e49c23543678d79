"""An adversarial autoencoder on the sphere: an objective with a second player."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pydantic import Field

from dimecli.lazy import torch
from dimecli.plugin import Fitted, Loss, Network, Objective, Spec

if TYPE_CHECKING:
    from dimecli.model import Autoencoder

_CHANCE = 0.25  # the discriminator's loss where it cannot tell: D = 1/2 everywhere
_SURE = 0.1  # below this it tells most codes from draws


class SphericalAAE(Objective):
    """Codes on the unit sphere that a discriminator cannot tell from uniform draws (least-squares adversary).

    Encoder and decoder minimise `-log p(x|z) + lambda/2 E (D(z) - 1)^2`, while the discriminator D minimises
    `1/2 E (D(u) - 1)^2 + 1/2 E D(z)^2` with u uniform on the sphere (Mao et al. 2017, eq. 9, with 1 for
    draws and 0 for codes; for autoencoders: Makhzani et al. 2016). Where D cannot tell, it is 1/2
    everywhere and its loss is 1/4. The lowest loss may be that of a weak D: see `--keep last`.
    """

    latent_size: int = Field(16, ge=2, description="Dimension l of the codes.")
    lam: float = Field(1.0, ge=0, validation_alias="lambda", description="Weight lambda of the adversarial term.")
    discriminator_lr: float = Field(1e-3, gt=0, description="Learning rate of the discriminator D.")
    units: int = Field(128, ge=1, description="Units of each of the two hidden layers of D.")

    latent_space = "sphere"

    @property
    def players(self) -> Mapping[str, float]:
        """The submodule that minimises a loss of its own, and its learning rate."""
        return {"discriminator": self.discriminator_lr}

    def build(self, spec: Spec, network: Network) -> Autoencoder:
        """An autoencoder with codes on the sphere, and the discriminator as a submodule of it."""
        from dimecli.nn.critic import score_network

        model = super().build(spec, network)
        model.add_module("discriminator", score_network(self.latent_size, (self.units, self.units)))
        return model

    def loss(self, model: Autoencoder, x: torch.Tensor, rng: torch.Generator) -> Loss:
        """The terms of encoder and decoder, and the loss of the discriminator; dime keeps their gradients apart."""
        discriminator = model.get_submodule("discriminator")
        z = model.encode(x)  # (B, l)
        u = self.prior(model).sample(len(z), rng).to(z)
        of_codes, of_draws = discriminator(z), discriminator(u)  # (B,)
        return Loss(
            players={"discriminator": ((of_draws - 1).square().mean() + of_codes.square().mean()) / 2},
            reconstruction=self.reconstruction(model, x, z),
            adversarial=self.lam / 2 * (of_codes - 1).square().mean(),
        )

    def prior(self, model: Autoencoder) -> Fitted:
        """The uniform distribution on the sphere, which the codes are to have."""
        from dimecli.distributions import HypersphereUniform

        return HypersphereUniform(self.latent_size)

    def notes(self, terms: Mapping[str, float], samples: int) -> Sequence[str]:
        """Whether the discriminator has won."""
        loss = terms["discriminator"]
        if loss > _SURE:
            return ()
        return (f"the discriminator tells codes from uniform draws: its loss is {loss:.3g}, {_CHANCE} where it cannot",)
