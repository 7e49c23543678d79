"""The variational autoencoder with inverse autoregressive flows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from dimecli.distributed import gather
from dimecli.lazy import torch
from dimecli.plugin import Loss, Network, Spec, VariationalObjective
from dimecli_plugins.presets import dime_table2

if TYPE_CHECKING:
    from dimecli.nn.flow_posterior import FlowPosterior
    from dimecli.nn.inverse_autoregressive import InverseAutoregressiveFlow


class VAEIAF(VariationalObjective):
    """A Gaussian posterior bent by inverse autoregressive flows (Kingma et al. 2016, algorithm 1).

    Each of T steps is `z_i' = g_i z_i + (1 - g_i) m_i` with `(m, g) = MADE(z, h(x))`, so its Jacobian is
    triangular with the gates g on the diagonal; every other step takes the dimensions in reverse.
    Minimises `E_q[-log p(x|z_T) + beta (log N(z_0; mean, variance) - sum log g - log N(z_T; 0, I))]`
    with one draw. `--free-bits lambda` counts no less than lambda nats for a dimension's share of the
    divergence, averaged over the batch (eq. 15, each dimension a group), so that no dimension has a
    reason to collapse; the loss is then no bound. The paper has a ladder of such layers, this has one.
    """

    flows: int = Field(3, ge=1, description="Number of autoregressive steps, T.")
    hidden: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        (128, 128), min_length=1, description="Units of the hidden layers of each step's masked network."
    )
    context_size: int = Field(32, ge=1, description="Dimension of the context h(x) that the encoder gives every step.")
    free_bits: float = Field(
        0.0, ge=0, description="Nats of divergence, lambda, that each dimension may have for nothing, eq. 15."
    )

    presets = {
        # pythae minimises SSE / 2 + KL, half of SSE + 2 KL; the sizes are of its MNIST benchmark, without context
        "dime-table2": dime_table2({"flows": 3, "hidden": [32, 32], "beta": 2.0}),
    }

    def build(self, spec: Spec, network: Network) -> FlowPosterior[InverseAutoregressiveFlow]:
        """The encoder gives mean and log-variance per dimension, and the context."""
        from dimecli.nn.flow_posterior import FlowPosterior
        from dimecli.nn.inverse_autoregressive import InverseAutoregressiveFlow

        flow = InverseAutoregressiveFlow(self.latent_size, self.flows, self.context_size, self.hidden)
        encoder = network.encoder(spec, 2 * self.latent_size + self.context_size)
        return FlowPosterior(spec, encoder, network.decoder(spec, self.latent_size), self.latent_size, flow)

    def loss(self, model: FlowPosterior[InverseAutoregressiveFlow], x: torch.Tensor, rng: torch.Generator) -> Loss:
        """The negative evidence lower bound at one draw, its divergence times beta, in nats."""
        normal, context = model.start(x)
        start = normal.sample(rng)
        z, log_gates = model.flow.scaled(start, context)  # (B, l)
        squares = z.square() - (start - normal.mean).square() / normal.log_variance.exp()
        shares = 0.5 * (squares - normal.log_variance) - log_gates  # each dimension's part of log q(z|x) - log N(z)
        kl = gather(shares).mean(0)  # (l,)
        if self.free_bits:
            kl = kl.clamp_min(self.free_bits)
        return Loss(reconstruction=self.reconstruction(model, x, z), kl=self.weight(model.spec) * kl.sum())
