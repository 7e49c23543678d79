"""The model of mutual information machines. Importing this module imports torch; plugins do so inside `build`."""

from __future__ import annotations

import math

import torch

from dimecli.model import VariationalAutoencoder


class MutualInformationMachine(VariationalAutoencoder):
    """A variational autoencoder whose posteriors may become narrower, and whose joint density is exact.

    Nothing in its objectives rewards the entropy of q(z|x), so what keeps a standard deviation above
    0 is the bound: 1e-6, the resolution of codes near 1 in float32.
    """

    LOG_VARIANCE = -2 * math.log(1e-6)

    def draw(self, z: torch.Tensor, rng: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """A draw from p(x|z), `(B, *shape)`, and its log-density, `(B,)` nats, by one pass of the decoder."""
        likelihood = self.spec.likelihood
        parameters = self.decoder(z)
        x = likelihood.sample(parameters, rng)
        return x, -likelihood.nll(parameters, x) - self.spec.elements * likelihood.constant

    def log_joint(self, x: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        """`(B,)` nats: log p(x|z) + log p(z)."""
        return self.log_likelihood(x, z) + self.prior().log_prob(z)
