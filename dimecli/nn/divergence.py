"""Lower bounds of divergences between two distributions, from the scores that a critic gives their samples."""

from __future__ import annotations

import math
from typing import Literal

from dimecli.lazy import F, torch

Divergence = Literal["kl-f", "kl-dv", "js", "chi2", "hellinger"]


def lower_bound(divergence: Divergence, joint: torch.Tensor, product: torch.Tensor) -> torch.Tensor:
    """A bound `E_P t - E_Q f*(t)` of a divergence of P from Q, a scalar (Nowozin et al. 2016, eq. 4 and table 2).

    A critic's score v becomes t by the activation that keeps it where f* is defined. In expectation no
    critic exceeds the divergence, and the best score, with the log-ratio `r = log P/Q`, attains it:

    * `kl-f`: KL(P || Q) in nats, at `v = 1 + r`; its gradient is unbiased.
    * `kl-dv`: the same by Donsker and Varadhan, `E_P t - log E_Q exp(t)`, at `v = r` plus any constant; never
      below `kl-f` of the same scores. The mean inside the logarithm is that of the samples at hand, which
      biases the bound upwards and its gradient with it, by O(1 / B). A moving average in its place (MINE)
      would mend that, but let one sample's gradient grow without a bound; here it is one of a weighted mean.
    * `js`: the Jensen-Shannon divergence in nats, at most log 2, at `v = r`; f-GAN's has twice the value.
    * `chi2`: Pearson's `E_Q (P/Q - 1)^2`, at `v = 2 (exp(r) - 1)`.
    * `hellinger`: `E_Q (sqrt(P/Q) - 1)^2`, at most 2, at `v = r / 2`.

    Args:
        divergence: Which.
        joint: `(B,)` scores of samples of P.
        product: `(B,)` scores of samples of Q.
    """
    match divergence:
        case "kl-f":
            return joint.mean() - (product - 1).exp().mean()
        case "kl-dv":
            return joint.mean() - (product.logsumexp(0) - math.log(len(product)))
        case "js":
            return math.log(2) - 0.5 * (F.softplus(-joint).mean() + F.softplus(product).mean())
        case "chi2":
            return joint.mean() - (product + product.square() / 4).mean()
        case "hellinger":
            return -torch.expm1(-joint).mean() - torch.expm1(product).mean()


def shuffled(z: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """`(B, ...)` rows, B >= 2, in an order in which none keeps its place: shifted around by a random number.

    Rows of a shuffled batch that are paired with those of another tensor become samples of the product
    of the two marginals. A plain permutation leaves one row in its place on average, a sample of the joint.

    Raises:
        ValueError: there is one row, or none.
    """
    count = len(z)
    if count < 2:
        raise ValueError(f"codes are shuffled in a batch of at least 2 samples, got {count}")
    shift = torch.randint(1, count, (), generator=rng, device=z.device)
    return z[(torch.arange(count, device=z.device) + shift) % count]
