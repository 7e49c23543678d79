"""Planar flows. Importing this module imports torch."""

from __future__ import annotations

import torch
from torch import nn

from dimecli.nn.flow_posterior import ConditionalFlow

_LEAST_SQUARE = 1e-12  # of w, added before division by it


def planar(z: torch.Tensor, u: torch.Tensor, w: torch.Tensor, b: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """One step, `z + u_hat tanh(w.z + b)`, and its log-determinant, `log (1 + (1 - tanh^2) w.u_hat)`.

    It is invertible wherever `w.u_hat > -1` (Rezende and Mohamed 2015, appendix A.1), so u is moved
    along w until `w.u_hat = m(w.u)`, with `m(a) = a` for a >= 0 and `exp(a) - 1` below. The paper's m,
    `softplus(a) - 1`, moves every u, and without bounds where w vanishes, as it nearly does in fresh weights.

    Args:
        z: `(B, l)` codes.
        u: `(B, l)` directions.
        w: `(B, l)` normals of the planes.
        b: `(B, 1)` offsets.
    """
    product = (w * u).sum(1, keepdim=True)  # (B, 1)
    stretch = torch.where(product < 0, product.clamp(-80, 0).exp(), 1 + product)  # 1 + m > 0
    u_hat = u + (stretch - 1 - product) * w / (w.square().sum(1, keepdim=True) + _LEAST_SQUARE)
    height = torch.tanh((w * z).sum(1, keepdim=True) + b)
    slope = height.square() + (1 - height.square()) * stretch
    return z + u_hat * height, slope.log()[:, 0]


class PlanarFlow(ConditionalFlow):
    """`steps` planar steps whose u, w and b the context gives, or which are the same for all samples.

    Args:
        latent_size: Dimension l.
        steps: How many.
        shared: The parameters are weights of their own; the context is empty.
    """

    def __init__(self, latent_size: int, steps: int, shared: bool) -> None:
        super().__init__()
        self.steps = steps
        count = steps * (2 * latent_size + 1)
        self.context_size = 0 if shared else count
        self.shared = nn.Parameter(0.1 * torch.randn(count)) if shared else None

    def forward(self, z: torch.Tensor, context: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The images of `(B, l)` codes, and the `(B,)` log-determinants of the Jacobians there."""
        size = z.shape[1]
        parameters = context if self.shared is None else self.shared.expand(len(z), -1)
        total = z.new_zeros(len(z))
        for step in parameters.chunk(self.steps, dim=1):  # (B, 2 l + 1)
            u, w, b = step.split((size, size, 1), dim=1)
            z, log_det = planar(z, u, w, b)
            total = total + log_det
        return z, total
