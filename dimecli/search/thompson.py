"""A batch by Thompson sampling."""

from __future__ import annotations

import math

import torch

from dimecli.plugin import Candidates
from dimecli.search.bayesian import expected
from dimecli.search.candidates import Pool
from dimecli.search.gp import ExactGP, ExactPosterior
from dimecli.search.kernels import correlation

_JITTER = 1e-8  # share of the prior variance: points that nearly coincide leave the covariance singular


def propose(gp: ExactGP, found: Pool, n: int, rng: torch.Generator) -> Candidates:
    """The sentences of a pool that are the best in n draws of all its values together."""
    return expected(gp, found.take(choose(gp.posterior(found.points), n, rng)))


def choose(joint: ExactPosterior, n: int, rng: torch.Generator) -> torch.Tensor:
    """`(min(n, m),)` indices: where each of n draws of the function at m points is largest, all different.

    A point that an earlier draw chose is left out of the later ones, so the first index has exactly the
    probability with which its point is the best (Kandasamy et al., 2018). The draws are exact, by the
    Cholesky factor of the posterior covariance, at the cost of O(m^3).

    Args:
        joint: The posterior at m points.
        n: How many points to choose.
        rng: Source of the draws.
    """
    gp, m = joint.gp, len(joint.mean)
    covariance = gp.outputscale * correlation(joint.points, joint.points) - joint.whitened.T @ joint.whitened
    covariance.diagonal().add_(_JITTER * gp.outputscale)
    normal = torch.randn(m, min(n, m), generator=rng, dtype=covariance.dtype)
    draws = joint.mean[:, None] + gp.scale * torch.linalg.cholesky(covariance) @ normal  # (m, n)
    chosen: list[int] = []
    for draw in draws.T:
        draw[chosen] = -math.inf
        chosen.append(int(draw.argmax()))
    return torch.tensor(chosen, dtype=torch.long)
