"""Inverse autoregressive flows. Importing this module imports torch and zuko."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn
from zuko.nn import MaskedMLP

from dimecli.nn.flow_posterior import ConditionalFlow

FORGET_BIAS = 2.0
"""Added to what decides the gates, so that a fresh step changes little (Kingma et al. 2016, section 4: +1 or +2)."""


class InverseAutoregressiveFlow(ConditionalFlow):
    """`steps` gated steps `z_i' = g_i z_i + (1 - g_i) m_i`; g_i and m_i depend on z_1 ... z_(i-1) and the context.

    Every other step runs from the last dimension to the first.

    Args:
        latent_size: Dimension l.
        steps: How many.
        context_size: Numbers of the context of one sample.
        widths: Units of the hidden layers of each step's masked network (MADE).
    """

    def __init__(self, latent_size: int, steps: int, context_size: int, widths: Sequence[int]) -> None:
        super().__init__()
        self.context_size = context_size
        rank = torch.arange(latent_size)
        before = rank[:, None] > rank  # (l, l)
        given = torch.ones(latent_size, context_size, dtype=torch.bool)
        masks = (torch.cat((order, given), 1).repeat(2, 1) for order in (before, before.T))  # (2 l, l + context)
        forwards, backwards = masks
        self.networks = nn.ModuleList(
            MaskedMLP(backwards if step % 2 else forwards, widths, nn.ELU) for step in range(steps)
        )

    def scaled(self, z: torch.Tensor, context: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The images of `(B, l)` codes, and `(B, l)` logarithms of the diagonal of the triangular Jacobians."""
        total = torch.zeros_like(z)
        for network in self.networks:
            mean, free = network(torch.cat((z, context), 1)).chunk(2, dim=1)
            gate = torch.sigmoid(free + FORGET_BIAS)
            z = gate * z + (1 - gate) * mean
            total = total + F.logsigmoid(free + FORGET_BIAS)
        return z, total

    def forward(self, z: torch.Tensor, context: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The images of `(B, l)` codes, and the `(B,)` log-determinants of the Jacobians there."""
        z, log_diagonal = self.scaled(z, context)
        return z, log_diagonal.sum(1)
