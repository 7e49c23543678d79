"""Bayesian optimization with a sparse Gaussian process."""

from __future__ import annotations

from pydantic import Field

from dimecli.lazy import torch
from dimecli.plugin import Candidates, History, Space
from dimecli_plugins.searches.bo import BO


class SparseBO(BO):
    """Bayesian optimization that knows all evaluations, however many, by a sparse Gaussian process.

    It is for many thousands of them; up to 2,000, `bo` is exact, and faster. The inducing points and the
    other parameters are fitted until the variational bound reaches a plateau (Titsias, 2009).
    """

    inducing: int = Field(200, ge=1, le=5_000, description="Inducing points m; the time for a step grows as m^2.")
    max_steps: int = Field(200, ge=1, description="Most steps of the fit in a round; mostly fewer to the plateau.")

    def ask(self, n: int, history: History, space: Space, rng: torch.Generator) -> Candidates:
        """The n sentences that the believer chooses."""
        from dimecli.search.bayesian import propose
        from dimecli.search.sparse import SparseGP, fit_sparse

        def fit(codes: torch.Tensor, values: torch.Tensor) -> SparseGP:
            return fit_sparse(codes, values, self.inducing, self.kernel, self.max_steps, rng)

        return propose(fit, n, history, space, rng, max(self.pool, n), self.refine, self.reencode)
