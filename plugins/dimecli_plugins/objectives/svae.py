"""S-VAE: the hyperspherical variational autoencoder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from dimecli.lazy import torch
from dimecli.plugin import Loss, Network, Spec, VariationalObjective
from dimecli_plugins.presets import dime_table2

if TYPE_CHECKING:
    from dimecli.nn.spherical import SphericalAutoencoder


class SVAE(VariationalObjective):
    """A von Mises-Fisher posterior on the sphere held to the uniform law (S-VAE, Davidson et al. 2018).

    Minimises `E_q[-log p(x|z)] + beta KL(vMF(mu(x), kappa(x)) || uniform)` with one reparametrised
    sample. The divergence, eq. 5 there, is `kappa A(kappa) - log Z(kappa)`, with Z and A of
    `dimecli.nn.vmf`, and depends on kappa = softplus + 1 alone. The paper counts dimensions of the
    sphere: its d is our latent size l = d + 1. The gradient of kappa through the samples is that of the
    distribution itself; the authors' code takes that of the accepted proposals, which is too small.
    """

    latent_size: int = Field(16, ge=2, description="Dimension l of the codes, which lie on the sphere S^(l-1).")

    latent_space = "sphere"
    presets = {
        # d = 10; the layers, the rate and the batch are those of the authors' example
        "paper": {
            "objective": {"latent_size": 11, "beta": 1.0},
            "network": {"name": "mlp", "widths": (256, 128)},
            "dataset": {"name": "mnist", "image_size": 28, "likelihood": "bernoulli", "binarize": "dynamic"},
            "train": {"batch_size": 64, "lr": 1e-3},
        },
        # pythae, which DIME took its baselines from, has 0.5 |x - mean|^2 + KL: half of our |x - mean|^2 + 2 KL
        "dime-table2": dime_table2({"beta": 2.0}),
    }

    def build(self, spec: Spec, network: Network) -> SphericalAutoencoder:
        """The encoder gives a direction and a concentration."""
        from dimecli.nn.spherical import SphericalAutoencoder

        encoder, decoder = network.encoder(spec, self.latent_size + 1), network.decoder(spec, self.latent_size)
        return SphericalAutoencoder(spec, encoder, decoder, self.latent_size)

    def loss(self, model: SphericalAutoencoder, x: torch.Tensor, rng: torch.Generator) -> Loss:
        """The negative evidence lower bound, its KL term times beta, in nats."""
        posterior = model.posterior(x)
        z = posterior.sample(rng)  # (B, l)
        kl = posterior.kl()
        return Loss(reconstruction=self.reconstruction(model, x, z), kl=self.weight(model.spec) * kl.mean())
