"""The variational autoencoder with two levels of codes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from dimecli.errors import UserError
from dimecli.lazy import torch
from dimecli.plugin import Loss, Network, Spec, VariationalObjective
from dimecli_plugins.presets import TOMCZAK_WELLING

if TYPE_CHECKING:
    from dimecli.nn.hierarchical import HierarchicalAutoencoder


class HierarchicalVAE(VariationalObjective):
    """A VAE with two levels of codes, the prior of the lower one learned (Tomczak and Welling 2018, section 3).

    Minimises `E_q[-log p(x|z1, z2)] + beta E_q[log q(z1|x, z2) + log q(z2|x) - log p(z1|z2) - log p(z2)]`
    with one sample. The code of a run is `[z1, z2]`. Any network gives q(z2|x), a second one of its kind
    the features of x for q(z1|x, z2), and its decoder takes both levels at once; q(z1|x, z2) and p(z1|z2)
    have two gated layers. Log-variances stay within [-6, 2], smoothly. `--prior vamp` puts a VampPrior
    on z2 (see `vampprior`). The network `gated-conv` brings it close to the paper's convolutional model.
    """

    latent_size: int = Field(16, ge=2, description="Dimension l of the codes: z1 and z2 together.")
    upper_size: int | None = Field(
        None, ge=1, description="Dimension of z2, less than the latent size; if not given, half of that."
    )
    upper_prior: Literal["standard", "vamp"] = Field(
        "standard", validation_alias="prior", description="Prior of z2: N(0, I), or the mixture of its posteriors."
    )
    components: int = Field(500, ge=1, description="Number K of pseudo-inputs of the VampPrior.")
    hidden: int = Field(300, ge=1, description="Units of gated layers, and features of x that q(z1|x, z2) sees.")

    presets = {
        "mim-hierarchical": {
            "objective": {"latent_size": 80, "upper_size": 40, "hidden": 300, "beta": 1},
            "network": {"name": "gated-conv"},
            "dataset": {"name": "mnist", "image_size": 28, "likelihood": "bernoulli", "binarize": "dynamic"},
            "train": TOMCZAK_WELLING,
        },
    }

    def build(self, spec: Spec, network: Network) -> HierarchicalAutoencoder:
        """Two encoders, a decoder of both levels, and the layers between the levels.

        Raises:
            UserError: nothing is left for z1.
        """
        from dimecli.nn.hierarchical import HierarchicalAutoencoder, TwoEncoders

        upper = self.latent_size // 2 if self.upper_size is None else self.upper_size
        if upper >= self.latent_size:
            raise UserError(f"--upper-size {upper}: must be less than --latent-size, which is {self.latent_size}")
        return HierarchicalAutoencoder(
            spec,
            TwoEncoders(network.encoder(spec, 2 * upper), network.encoder(spec, self.hidden)),
            network.decoder(spec, self.latent_size),
            sizes=(self.latent_size - upper, upper),
            hidden=self.hidden,
            components=self.components if self.upper_prior == "vamp" else None,
        )

    def loss(self, model: HierarchicalAutoencoder, x: torch.Tensor, rng: torch.Generator) -> Loss:
        """The negative evidence lower bound of one sample, its KL term times beta, in nats."""
        z, log_posterior = model.infer(x, rng)  # (B, l), (B,)
        kl = log_posterior - model.prior().log_prob(z)
        return Loss(reconstruction=self.reconstruction(model, x, z), kl=self.weight(model.spec) * kl.mean())
