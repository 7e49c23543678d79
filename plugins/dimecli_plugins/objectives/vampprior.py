"""The variational autoencoder with a mixture of its own posteriors as the prior."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from dimecli.lazy import torch
from dimecli.plugin import Loss, Network, Spec, VariationalObjective
from dimecli_plugins.presets import TOMCZAK_WELLING

if TYPE_CHECKING:
    from dimecli.nn.vamp import VampPriorAutoencoder


class VampPriorVAE(VariationalObjective):
    """A VAE whose prior is the mixture of its posteriors of K learned inputs (Tomczak and Welling 2018, eq. 9).

    Minimises `E_q[-log p(x|z)] + beta E_q[log q(z|x) - log p(z)]` with one sample z, where
    `p(z) = 1/K sum_k q(z|u_k)`. The pseudo-inputs u_k are pixels cut to [0, 1], free vectors, or weights
    over the symbols of a sentence, all random at first. They pass the encoder in eval mode: its batch
    norms then normalise them as data, by running statistics, which stay those of the data. Every step
    encodes K inputs beside the batch.
    """

    components: int = Field(500, ge=1, description="Number K of pseudo-inputs, eq. 9.")

    presets = {
        "paper": {
            "objective": {"latent_size": 40, "components": 500, "beta": 1},
            "network": {"name": "gated-conv"},
            "dataset": {"name": "mnist", "image_size": 28, "likelihood": "bernoulli", "binarize": "dynamic"},
            "train": TOMCZAK_WELLING,
        },
    }

    def build(self, spec: Spec, network: Network) -> VampPriorAutoencoder:
        """A variational autoencoder with K pseudo-inputs."""
        from dimecli.nn.vamp import VampPriorAutoencoder

        encoder, decoder = network.encoder(spec, 2 * self.latent_size), network.decoder(spec, self.latent_size)
        return VampPriorAutoencoder(spec, encoder, decoder, self.latent_size, self.components)

    def loss(self, model: VampPriorAutoencoder, x: torch.Tensor, rng: torch.Generator) -> Loss:
        """The negative evidence lower bound of one sample, its KL term times beta, in nats."""
        z, log_posterior = model.infer(x, rng)  # (B, l), (B,)
        kl = log_posterior - model.prior().log_prob(z)
        return Loss(reconstruction=self.reconstruction(model, x, z), kl=self.weight(model.spec) * kl.mean())
