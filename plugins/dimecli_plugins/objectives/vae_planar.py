"""The variational autoencoder with planar flows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from dimecli.lazy import torch
from dimecli.plugin import Loss, Network, Spec, VariationalObjective
from dimecli_plugins.presets import dime_table2

if TYPE_CHECKING:
    from dimecli.nn.flow_posterior import FlowPosterior
    from dimecli.nn.planar import PlanarFlow


class VAEPlanar(VariationalObjective):
    """A Gaussian posterior bent by planar flows (Rezende and Mohamed 2015, eqs. 10-15).

    Each of K steps is `z' = z + u_hat tanh(w.z + b)`; u, w and b come from the encoder, for each x
    its own, or are weights shared by all (`--shared-flow`, as pythae has it, whose results DIME quotes as
    VAE-LinNF). u_hat keeps every step invertible. Minimises
    `E_q[-log p(x|z_K) + beta (log N(z_0; mean, variance) - sum log |det| - log N(z_K; 0, I))]`
    with one draw; the divergence of the first Gaussian alone in closed form would not be a bound.
    """

    flows: int = Field(5, ge=1, description="Number of planar steps, K.")
    shared_flow: bool = Field(False, description="One u, w and b per step for all samples, not from the encoder.")

    presets = {
        # pythae minimises SSE / 2 + KL, half of SSE + 2 KL
        "dime-table2": dime_table2({"flows": 5, "shared_flow": True, "beta": 2.0}),
    }

    def build(self, spec: Spec, network: Network) -> FlowPosterior[PlanarFlow]:
        """The encoder gives mean and log-variance per dimension, and unless shared the parameters of the flow."""
        from dimecli.nn.flow_posterior import FlowPosterior
        from dimecli.nn.planar import PlanarFlow

        flow = PlanarFlow(self.latent_size, self.flows, self.shared_flow)
        encoder = network.encoder(spec, 2 * self.latent_size + flow.context_size)
        return FlowPosterior(spec, encoder, network.decoder(spec, self.latent_size), self.latent_size, flow)

    def loss(self, model: FlowPosterior[PlanarFlow], x: torch.Tensor, rng: torch.Generator) -> Loss:
        """The negative evidence lower bound at one draw, its divergence times beta, in nats."""
        z, log_posterior = model.infer(x, rng)  # (B, l), (B,)
        kl = (log_posterior - model.prior().log_prob(z)).mean()
        return Loss(reconstruction=self.reconstruction(model, x, z), kl=self.weight(model.spec) * kl)
