"""Bayesian optimization with an exact Gaussian process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from dimecli.lazy import torch
from dimecli.plugin import Candidates, History, Search, Space

if TYPE_CHECKING:
    from dimecli.search.surrogate import Surrogate


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
        2_000, ge=1, le=100_000, description="Codes decoded in a round, for the sentences to choose from."
    )
    refine: int = Field(
        0,
        ge=0,
        le=1_000,
        description="Steps of gradient ascent from the best of them, on the sphere or in the box of the codes. They "
        "lead to few, similar sentences: what the model expects improves, what is found does not.",
    )
    reencode: bool = Field(
        True,
        description="A sentence is where the encoder puts it, not at the code that it was decoded from.",
    )
    explore: float = Field(
        0.2,
        ge=0,
        lt=1,
        description="Share of a batch that is drawn from the density, whatever the model expects: without it a search "
        "that starts far from anything good stays there.",
    )

    def ask(self, n: int, history: History, space: Space, rng: torch.Generator) -> Candidates:
        """The n sentences that the believer chooses, some of them at random."""
        from dimecli.search.bayesian import propose

        def fit(codes: torch.Tensor, values: torch.Tensor) -> Surrogate:
            return self.surrogate(codes, values, rng)

        return propose(
            fit,
            n,
            history,
            space,
            rng,
            size=max(self.pool, n),
            steps=self.refine,
            reencode=self.reencode,
            explore=self.explore,
        )

    def surrogate(self, codes: torch.Tensor, values: torch.Tensor, rng: torch.Generator) -> Surrogate:
        """The model of `(n,)` values at `(n, l)` codes."""
        from dimecli.search.gp import fit_gp

        return fit_gp(codes, values, self.kernel)
