"""The InfoVAE."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from pydantic import Field, model_validator

from dimecli.distributed import gather
from dimecli.lazy import torch
from dimecli.nn.mmd import Kernel, mmd
from dimecli.plugin import Loss, Network, Objective, Spec
from dimecli_plugins.presets import dime_table2

if TYPE_CHECKING:
    from dimecli.model import VariationalAutoencoder


class InfoVAE(Objective):
    """A variational autoencoder that holds the codes of all data to the prior too (Zhao et al., 2019).

    Minimises `E_q[-log p(x|z)] + (1 - alpha) KL(q(z|x) || N(0, I)) + (alpha + lambda - 1) MMD_k^2(q(z), N(0, I))`,
    as InfoMax-VAE prints it in its appendix A; DIME's A.5 has lost the -1. The discrepancy is the
    unbiased estimate on one draw of each posterior of the batch, not on the means, and as many fresh
    draws from the prior; it may be negative. At alpha = 1 there is no KL term (the MMD-VAE); above,
    the loss has no lower bound. The estimate is noisy, and posteriors that ignore x are safe from its
    noise: with the published weight of 1000 codes collapsed on MNIST (a KL below 0.1 nats after 1,200
    steps with batches of 100 and the summed squared error), and the larger lambda, the less they told.
    """

    alpha: float = Field(0.98, le=1, description="Preference alpha for information: 1 - alpha is the weight of the KL.")
    lam: float = Field(
        10.0,
        ge=0,
        validation_alias="lambda",
        description="lambda; alpha + lambda - 1 is the weight of the discrepancy.",
    )
    kernel: Kernel = Field(
        "imq",
        description="Kernel k: inverse multiquadratics of seven widths, or a Gaussian as wide as the median distance.",
    )

    presets = {
        # pythae, which DIME took its baselines from, halves this: 0.5 |x - mean|^2 + (1 - 0) KL + (0 + 1000 - 1) MMD^2.
        "dime-table2": dime_table2({"alpha": -1.0, "lambda": 2000.0}),
    }

    @model_validator(mode="after")
    def _discrepancy_is_a_penalty(self) -> Self:
        if self.alpha + self.lam < 1:
            raise ValueError(f"--alpha {self.alpha:g} needs --lambda {1 - self.alpha:g} or more, got {self.lam:g}")
        return self

    def build(self, spec: Spec, network: Network) -> VariationalAutoencoder:
        """The encoder gives a mean and a log-variance per dimension."""
        from dimecli.model import VariationalAutoencoder

        return VariationalAutoencoder.of(spec, network, self.latent_size)

    def loss(self, model: VariationalAutoencoder, x: torch.Tensor, rng: torch.Generator) -> Loss:
        """The three terms; the discrepancy is that of the whole batch."""
        posterior = model.posterior(x)
        z = posterior.sample(rng)  # (B, l)
        draws = model.prior().sample(len(z), rng).to(z)
        discrepancy = mmd(gather(z), gather(draws), self.kernel, spread=2 * self.latent_size)
        return Loss(
            reconstruction=self.reconstruction(model, x, z),
            kl=(1 - self.alpha) * posterior.kl().mean(),
            mmd=(self.alpha + self.lam - 1) * discrepancy,
        )
