"""Models whose posterior is a Gaussian pushed through a flow. Importing this module imports torch."""

from __future__ import annotations

from abc import abstractmethod
from typing import Generic, TypeVar

import torch
from torch import nn

from dimecli.data.spec import Spec
from dimecli.model import LatentVariableModel
from dimecli.nn.normal import DiagonalNormal


class ConditionalFlow(nn.Module):
    """A smooth bijection of codes for every context."""

    context_size: int
    """Numbers of the context of one sample."""

    @abstractmethod
    def forward(self, z: torch.Tensor, context: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The images of `(B, l)` codes, and the `(B,)` log-determinants of the Jacobians there."""


Flow = TypeVar("Flow", bound=ConditionalFlow)


class FlowPosterior(LatentVariableModel, Generic[Flow]):
    """`z_0 ~ N(mean, diag variance)` and `z = f(z_0; h)`, where the encoder gives mean, variance and h for each x.

    `log q(z|x) = log N(z_0) - log |det df/dz_0|`; the prior is N(0, I).
    """

    def __init__(self, spec: Spec, encoder: nn.Module, decoder: nn.Module, latent_size: int, flow: Flow) -> None:
        super().__init__(spec, encoder, decoder, latent_size)
        self.flow = flow

    def start(self, x: torch.Tensor) -> tuple[DiagonalNormal, torch.Tensor]:
        """The Gaussian that the flow starts from, and the `(B, context_size)` context of each x."""
        features = self.encoder(x)
        normal, context = features.split((2 * self.latent_size, self.flow.context_size), dim=1)
        return DiagonalNormal.from_features(normal), context

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        """`(B, l)`: where the flow takes the mean of the Gaussian that it starts from."""
        normal, context = self.start(x)
        code: torch.Tensor = self.flow(normal.mean, context)[0]
        return code

    def infer(self, x: torch.Tensor, rng: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """A draw from the posterior, `(B, l)`, and its log-density, `(B,)` nats."""
        normal, context = self.start(x)
        start = normal.sample(rng)
        z, log_det = self.flow(start, context)
        return z, normal.log_prob(start) - log_det
