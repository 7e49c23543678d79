"""The models that objectives build. Importing this module imports torch; plugins do so inside `build`."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from dimecli.data.spec import Spec


class Autoencoder(nn.Module):
    """A deterministic autoencoder: the encoder gives the code, the decoder the likelihood's parameters."""

    def __init__(self, spec: Spec, encoder: nn.Module, decoder: nn.Module, latent_size: int) -> None:
        super().__init__()
        self.spec = spec
        self.encoder = encoder
        self.decoder = decoder
        self.latent_size = latent_size

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        """`(B, l)` codes of `(B, *shape)` data: deterministic, or the mean of the posterior."""
        codes: torch.Tensor = self.encoder(x)
        return codes

    def nll(self, x: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        """`(B,)` negative log-likelihoods of x given its codes, in nats, up to `likelihood.constant`."""
        return self.spec.likelihood.nll(self.decoder(z), x)

    def generate(self, z: torch.Tensor, rng: torch.Generator | None = None) -> torch.Tensor:
        """`(B, *shape)` data decoded from `(B, l)` codes: the mean, or a draw from p(x|z) if `rng` is given."""
        parameters = self.decoder(z)
        likelihood = self.spec.likelihood
        return likelihood.mean(parameters) if rng is None else likelihood.sample(parameters, rng)


class VariationalAutoencoder(Autoencoder):
    """An autoencoder whose encoder gives a Gaussian posterior with a diagonal covariance.

    The log-variance is kept within +-`LOG_VARIANCE` smoothly, so that neither it nor its exponential
    overflows: `LOG_VARIANCE tanh(a / LOG_VARIANCE)` is the identity near 0.
    """

    LOG_VARIANCE = 10.0

    def posterior(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and log-variance of q(z|x), `(B, l)` each."""
        mean, free = self.encoder(x).chunk(2, dim=1)
        log_variance = self.LOG_VARIANCE * torch.tanh(free / self.LOG_VARIANCE)
        return mean, log_variance

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        """`(B, l)` means of the posterior."""
        return self.posterior(x)[0]


class UnitNorm(nn.Module):
    """Divides every row by its length: `(B, l)` to the unit sphere, in at least float32."""

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        """`z / |z|`; a row of zeros stays zero."""
        return F.normalize(z.float() if z.dtype == torch.bfloat16 else z, dim=1)
