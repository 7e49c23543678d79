"""The constant-variance VAE."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from dimecli.lazy import torch
from dimecli.plugin import Loss, Network, Spec, VariationalObjective
from dimecli_plugins.presets import rae

if TYPE_CHECKING:
    from dimecli.model import VariationalAutoencoder


class CVVAE(VariationalObjective):
    """A variational autoencoder whose posteriors all have one fixed variance (RAE, section 2.2, eqs. 13-14).

    Minimises `E[-log p(x|z)] + beta KL(N(mu(x), sigma^2 I) || N(0, I))` with `z = mu(x) + sigma eps`.
    The divergence is `(|mu|^2 + l (sigma^2 - 1 - log sigma^2)) / 2`; eq. 14 leaves out the constant.
    The codes are not asked to fill the prior, so samples from it are poor: the paper draws from a
    Gaussian or a mixture fitted to the codes instead.
    """

    sigma: float = Field(0.7, gt=0, description="Standard deviation sigma of every posterior (eq. 13).")

    # The authors' reconstruction is |x - mean|^2 / C over C channels: their weight times C is beta here.
    presets = rae(
        mnist={"beta": 0.039, "sigma": 0.7},
        cifar10={"beta": 3 * 9e-4, "sigma": 0.7},
        celeba={"beta": 3 * 0.01, "sigma": 0.7},
    )

    def build(self, spec: Spec, network: Network) -> VariationalAutoencoder:
        """The encoder gives the means alone."""
        from dimecli.nn.constant_variance import ConstantVarianceAutoencoder

        encoder, decoder = network.encoder(spec, self.latent_size), network.decoder(spec, self.latent_size)
        return ConstantVarianceAutoencoder(spec, encoder, decoder, self.latent_size, self.sigma)

    def loss(self, model: VariationalAutoencoder, x: torch.Tensor, rng: torch.Generator) -> Loss:
        """The reconstruction from one draw of the posterior, and beta times the exact divergence."""
        posterior = model.posterior(x)
        z = posterior.sample(rng)  # (B, l)
        return Loss(reconstruction=self.reconstruction(model, x, z), kl=self.weight(model.spec) * posterior.kl().mean())
