"""A variational autoencoder whose posteriors all have one variance."""

from __future__ import annotations

import math

import torch
from torch import nn

from dimecli.data.spec import Spec
from dimecli.model import VariationalAutoencoder
from dimecli.nn.normal import DiagonalNormal


class ConstantVarianceAutoencoder(VariationalAutoencoder):
    """A model whose encoder gives the mean of `q(z|x) = N(mean, std^2 I)`; its prior is N(0, I)."""

    def __init__(self, spec: Spec, encoder: nn.Module, decoder: nn.Module, latent_size: int, std: float) -> None:
        super().__init__(spec, encoder, decoder, latent_size)
        self.std = std

    def posterior(self, x: torch.Tensor) -> DiagonalNormal:
        """q(z|x)."""
        mean = self.encoder(x)
        return DiagonalNormal(mean, torch.full_like(mean, 2 * math.log(self.std)))
