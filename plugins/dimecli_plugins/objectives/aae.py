"""The adversarial autoencoder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from dimecli.lazy import F, torch
from dimecli.plugin import Fitted, Loss, Network, Objective, Spec

if TYPE_CHECKING:
    from dimecli.model import Autoencoder


class AAE(Objective):
    """Codes that a discriminator cannot tell from draws of N(0, I) (Makhzani et al. 2016, section 2).

    Minimises `-log p(x|z) - lambda E log D(z)` over the deterministic encoder and the decoder, while the
    discriminator D minimises `-E log D(p) - E log(1 - D(z))` with p from the prior; also known as
    WAE-GAN (Tolstikhin et al. 2018, algorithm 1). The encoder's term is the non-saturating one, whose
    gradient is strong where D is sure. All take their step on the same batch; the papers take turns.

    With a Gaussian likelihood lambda is in units of the summed squared error, of which the released WAE
    program takes 0.05: its lambda 10 is 200 here. It first trains the encoder to match the moments of
    the prior; without that, so large a weight leaves no gradient to the reconstruction, and its rate
    5e-4 of the discriminator drives codes away at first. On the bundled digits the defaults bring D
    near chance in 100 epochs. How well codes fool D says little where D is weak, so the weights of the
    lowest loss need not be the best: see `--keep last`.
    """

    lam: float = Field(
        0.1, ge=0, validation_alias="lambda", description="Weight lambda of the adversarial term (WAE, eq. 4)."
    )
    discriminator_lr: float = Field(1e-4, gt=0, description="Learning rate of the discriminator D.")
    discriminator_widths: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        (512, 512, 512, 512), description="Units of the hidden layers of the discriminator D."
    )

    @property
    def players(self) -> dict[str, float]:
        """The discriminator."""
        return {"discriminator": self.discriminator_lr}

    def build(self, spec: Spec, network: Network) -> Autoencoder:
        """A deterministic autoencoder and the discriminator of its codes."""
        from dimecli.nn.critic import score_network

        model = super().build(spec, network)
        model.add_module("discriminator", score_network(self.latent_size, self.discriminator_widths))
        return model

    def prior(self, model: Autoencoder) -> Fitted:
        """N(0, I)."""
        from dimecli.distributions import StandardNormal

        return StandardNormal(self.latent_size)

    def loss(self, model: Autoencoder, x: torch.Tensor, rng: torch.Generator) -> Loss:
        """The reconstruction and the adversarial term; the discriminator's loss is its cross-entropy, from logits."""
        z = model.encode(x)  # (B, l)
        prior = torch.randn(z.shape, generator=rng, device=z.device, dtype=z.dtype)
        discriminator = model.get_submodule("discriminator")
        of_codes, of_prior = discriminator(z), discriminator(prior)  # logits of "from the prior"
        return Loss(
            players={"discriminator": F.softplus(-of_prior).mean() + F.softplus(of_codes).mean()},
            reconstruction=self.reconstruction(model, x, z),
            adversarial=self.lam * F.softplus(-of_codes).mean(),
        )
