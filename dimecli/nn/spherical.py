"""Autoencoders whose codes are random points of the unit sphere. Importing this module imports torch."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from dimecli.distributions import HypersphereUniform
from dimecli.model import LatentVariableModel
from dimecli.nn.vmf import VonMisesFisher


class SphericalAutoencoder(LatentVariableModel):
    """A von Mises-Fisher posterior; the prior is the uniform law on the same sphere, that in `latent_size` dimensions.

    The encoder gives `latent_size + 1` numbers: a direction, and kappa before `softplus + 1`.
    """

    def posterior(self, x: torch.Tensor) -> VonMisesFisher:
        """q(z|x)."""
        features = self.encoder(x)
        features = features.to(torch.promote_types(features.dtype, torch.float32))
        return VonMisesFisher(F.normalize(features[:, :-1], dim=1), F.softplus(features[:, -1]) + 1)

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        """`(B, l)` directions of the posterior's mean, of unit length."""
        return self.posterior(x).direction

    def infer(self, x: torch.Tensor, rng: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """A draw from the posterior, `(B, l)`, and its log-density, `(B,)` nats per surface area."""
        posterior = self.posterior(x)
        z = posterior.sample(rng)
        return z, posterior.log_prob(z)

    def prior(self) -> HypersphereUniform:
        """The uniform law."""
        return HypersphereUniform(self.latent_size)
