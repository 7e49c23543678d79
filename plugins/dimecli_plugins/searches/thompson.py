"""Thompson sampling."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from dimecli.lazy import torch
from dimecli.plugin import Candidates, History, Search, Space


class Thompson(Search):
    """Thompson sampling: the best sentence in each of n draws from the posterior (Thompson, 1933).

    A draw is of the values of a whole pool of new sentences, from an exact Gaussian process that knows at
    most 2,000 evaluations. The batch is as varied as the process is uncertain. On a spherical latent space
    all codes stay on the sphere.
    """

    kernel: Literal["rbf", "ard"] = Field(
        "rbf",
        description="Gaussian kernel with one length scale, which on unit codes is the von Mises-Fisher kernel "
        "(rbf), or with one for each dimension (ard).",
    )
    pool: int = Field(2_000, ge=1, le=5_000, description="Codes decoded in a round, for their sentences to draw at.")

    def ask(self, n: int, history: History, space: Space, rng: torch.Generator) -> Candidates:
        """The best of n draws; without a history, all of the pool."""
        from dimecli.search.bayesian import raised_to_median
        from dimecli.search.candidates import pool, recentred
        from dimecli.search.gp import fit_gp
        from dimecli.search.thompson import propose

        known = len(history.values) > 0
        history = recentred(space, history) if known else history
        found = pool(space, history, max(self.pool, n), rng)
        if not known or not found.sentences:
            return Candidates(found.sentences, found.codes)
        gp = fit_gp(history.codes, raised_to_median(history.values), self.kernel)
        return propose(gp, found, n, rng)
