"""The pairwise Gaussian potential that spreads codes over the sphere, and its value where they fill it evenly."""

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

    Raises:
        ValueError: there is one code, or none.
    """
    count = z.shape[0]
    if count < 2:
        raise ValueError(f"the potential of pairs of codes takes a batch of at least 2 samples, got {count}")
    if count > _LARGEST_SQUARE:
        from dimecli.nn.blocked_potential import BlockedLogPotential

        blocked: torch.Tensor = BlockedLogPotential.apply(z, gamma)
        return blocked
    others = squared_distances(z, z).masked_fill(torch.eye(count, dtype=torch.bool, device=z.device), math.inf)
    return torch.logsumexp(-gamma * others, dim=(0, 1)) - math.log(count * (count - 1))


def uniform_log_potential(size: int, gamma: float) -> float:
    """`log E exp(-gamma |z - w|^2)` in nats of independent z and w, uniform on the unit sphere in `size` dimensions.

    Since `|z - w|^2 = 2 - 2 z . w`, it is `log a = -k + log(Gamma(l/2) (2/k)^(l/2-1) I_{l/2-1}(k))` with
    `k = 2 gamma` (DIME, Theorem 3 with `k = 1/sigma^2`): no law on the sphere has less. In logs throughout,
    as the factors overflow from about 250 dimensions on.
    """
    from dimecli.nn.vmf import log_partition

    k = torch.tensor(2 * gamma, dtype=torch.float64)
    log_mean, _ = log_partition(k, size)
    return (log_mean - k).item()
