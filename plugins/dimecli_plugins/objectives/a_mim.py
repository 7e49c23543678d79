"""A-MIM: the asymmetric mutual information machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from dimecli.lazy import torch
from dimecli.plugin import Loss, Network, Objective, Spec

if TYPE_CHECKING:
    from dimecli.nn.mim import MutualInformationMachine


class AMIM(Objective):
    """A mutual information machine trained on samples of its encoder alone (Livne et al., 2019, section 5.3).

    Minimises `-1/2 E[log p(x|z) p(z)] - 1/2 E[log q(z|x) q(x)]` over `P(x) q(z|x)`, with
    `log q(x) = log p(x|z) + log p(z) - log q(z|x)`: both terms are the same, and their sum
    `-E[log p(x|z) + log p(z)]`, the first half of algorithm 2, is the loss of a VAE without the entropy
    of its posterior. It needs no samples of the decoder, so it is for decoders that are slow to draw
    from. The terms `decoding` and `encoding` make `--warm-up` the beta of eq. 18.

    Nothing keeps the posterior wide: its standard deviation falls towards 1e-6, and what is left is an
    autoencoder with a penalty on the squared length of its codes.
    """

    reduction: Literal["sum"] = Field(
        "sum", description="Densities of x and of z are compared, so they are in nats per sample (sum)."
    )

    fixed_terms = frozenset({"decoding"})

    def build(self, spec: Spec, network: Network) -> MutualInformationMachine:
        """The encoder gives a mean and a log-variance per dimension."""
        from dimecli.nn.mim import MutualInformationMachine

        return MutualInformationMachine.of(spec, network, self.latent_size)

    def loss(self, model: MutualInformationMachine, x: torch.Tensor, rng: torch.Generator) -> Loss:
        """The encoder's half of algorithm 2, in two terms."""
        z, _ = model.infer(x, rng)  # (B, l)
        half = -model.log_joint(x, z).mean() / 2
        return Loss(decoding=half, encoding=half)
