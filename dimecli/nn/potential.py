"""The pairwise Gaussian potential that spreads codes over the sphere."""

from __future__ import annotations

import math

from dimecli.lazy import torch
from dimecli.nn.distances import squared_distances

_LARGEST_SQUARE = 1_024  # codes of which all distances are held at once, several times for the gradient


def log_potential(z: torch.Tensor, gamma: float) -> torch.Tensor:
    """`log mean_{i != j} exp(-gamma |z_i - z_j|^2)`, a scalar in nats (DIME, eq. 6).

    0 for identical codes and never above; finite for codes of any length. Large batches are worked off
    in blocks, in memory that grows with B, not with its square.

    Args:
        z: `(B, l)` codes, B >= 2. On the unit sphere the squared distances lie in [0, 4].
        gamma: Inverse width of the Gaussian; DIME's t.
    """
    count = z.shape[0]
    if count > _LARGEST_SQUARE:
        from dimecli.nn.blocked_potential import BlockedLogPotential

        blocked: torch.Tensor = BlockedLogPotential.apply(z, gamma)
        return blocked
    others = squared_distances(z, z).masked_fill(torch.eye(count, dtype=torch.bool, device=z.device), math.inf)
    return torch.logsumexp(-gamma * others, dim=(0, 1)) - math.log(count * (count - 1))
