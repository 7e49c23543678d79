"""Normalizing flows over codes. Importing this module imports torch and zuko."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from zuko.flows import MAF, NSF, RealNVP

from dimecli.nn.fit import LearnedDensity

Transform = Literal["realnvp", "maf", "nsf"]

_FAMILIES = {"realnvp": RealNVP, "maf": MAF, "nsf": NSF}
_NODES = 64  # of the quadrature over the radius
_SPREAD = 8  # standard deviations of the radius that it covers on either side of 1


def random_radii(z: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """`(n, l)`: each row times the root mean square of l standard normal numbers.

    What was uniform on the unit sphere is then N(0, I / l).
    """
    noise = torch.randn(z.shape, generator=rng, device=z.device, dtype=z.dtype)
    return z * noise.square().mean(1, keepdim=True).sqrt()


class LatentFlow(LearnedDensity):
    """`z = mean + scale_tril y`, where the flow takes y to N(0, I); on the sphere, that divided by its length.

    Args:
        size: Dimension l.
        transform: Of the flow.
        layers: Number of transforms.
        hidden: Units of the hidden layers of each transform's network.
    """

    mean: torch.Tensor  # (l,)
    scale_tril: torch.Tensor  # (l, l)
    spherical: torch.Tensor  # (), bool

    def __init__(self, size: int, transform: Transform, layers: int, hidden: Sequence[int]) -> None:
        super().__init__()
        self.flow = _FAMILIES[transform](size, transforms=layers, hidden_features=tuple(hidden))
        if size > 1:  # a fresh flow is the identity; of one dimension it has no networks, only shifts and scales
            for layer in self.flow.transform.transforms:
                for weight in layer.hyper[-1].parameters():
                    nn.init.zeros_(weight)
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("scale_tril", torch.eye(size))
        self.register_buffer("spherical", torch.tensor(False))

    def loss(self, rows: torch.Tensor, noise: torch.Generator) -> torch.Tensor:
        """The mean of `-log p` of `(B, l)` codes; those on the sphere are given random radii."""
        return -self._ambient(random_radii(rows, noise) if self.spherical else rows).mean()

    def sample(self, n: int, rng: torch.Generator) -> torch.Tensor:
        """`(n, l)` draws."""
        noise = torch.randn(n, len(self.mean), generator=rng, device=rng.device, dtype=self.mean.dtype)
        z: torch.Tensor = self.mean + self.flow().transform.inv(noise) @ self.scale_tril.T
        return F.normalize(z, dim=1) if self.spherical else z

    def log_prob(self, z: torch.Tensor) -> torch.Tensor:
        """`(n,)` nats; on the sphere per surface area.

        There it is the integral over the radius, `log int p(r z) r^(l - 1) dr`, by Gauss-Legendre quadrature.
        """
        if not self.spherical:
            return self._ambient(z)
        size = z.shape[1]
        reach = _SPREAD / (2 * size) ** 0.5  # the radius has a standard deviation of about 1 / sqrt(2 l)
        low, high = max(0.0, 1 - reach), 1 + reach
        nodes, weights = np.polynomial.legendre.leggauss(_NODES)
        radii = low + (high - low) * (nodes + 1) / 2
        log_weights = np.log((high - low) / 2 * weights) + (size - 1) * np.log(radii)
        terms = [self._ambient(radius * z) + weight for radius, weight in zip(radii, log_weights, strict=True)]
        return torch.logsumexp(torch.stack(terms), 0)

    def _ambient(self, z: torch.Tensor) -> torch.Tensor:
        """`(n,)` nats of the density on the whole space."""
        white = torch.linalg.solve_triangular(self.scale_tril, (z - self.mean).T, upper=False).T
        log_prob: torch.Tensor = self.flow().log_prob(white) - self.scale_tril.diagonal().log().sum()
        return log_prob
