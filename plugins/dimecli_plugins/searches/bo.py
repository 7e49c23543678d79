"""Bayesian optimization with an exact Gaussian process."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from dimecli.lazy import torch
from dimecli.plugin import Candidates, History, Search, Space

_MOST = 2_000  # evaluations; the cost of the Gaussian process grows with their cube


class BO(Search):
    """Bayesian optimization with an exact Gaussian process, by log expected improvement and a kriging believer.

    It knows at most 2,000 evaluations, the best ones where there are more; `bo-svgp` knows all. Candidates
    are new sentences near those that are best so far; on a spherical latent space they stay on the sphere.
    """

    kernel: Literal["rbf", "ard"] = Field(
        "rbf",
        description="Gaussian kernel with one length scale, which on unit codes is the von Mises-Fisher kernel "
        "(rbf), or with one for each dimension (ard).",
    )
    pool: int = Field(
        2_000,
        ge=1,
        le=100_000,
        description="Codes decoded for the sentences to choose from, at first and in each of three generations around "
        "the best.",
    )
    refine: int = Field(
        20,
        ge=0,
        le=1_000,
        description="Steps of gradient ascent from the best of them, on the sphere or in the box of the codes.",
    )
    reencode: bool = Field(
        True,
        description="A sentence is where the encoder puts it, not at the code that it was decoded from.",
    )

    def ask(self, n: int, history: History, space: Space, rng: torch.Generator) -> Candidates:
        """The n sentences that the believer chooses."""
        from dimecli.search.bayesian import propose
        from dimecli.search.gp import ExactGP, fit_gp

        def fit(codes: torch.Tensor, values: torch.Tensor) -> ExactGP:
            known = values.argsort(descending=True, stable=True)[:_MOST]
            return fit_gp(codes[known], values[known], self.kernel)

        return propose(fit, n, history, space, rng, max(self.pool, n), self.refine, self.reencode)
