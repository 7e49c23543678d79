"""Bayesian optimization with a sparse Gaussian process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from dimecli.lazy import torch
from dimecli_plugins.searches.bo import BO

if TYPE_CHECKING:
    from dimecli.search.surrogate import Surrogate


class SparseBO(BO):
    """Bayesian optimization that knows all evaluations, however many, by a sparse Gaussian process.

    It is for many thousands of them; up to 2,000, `bo` is exact, and faster. The inducing points and the
    other parameters are fitted until the variational bound reaches a plateau (Titsias, 2009).
    """

    inducing: int = Field(200, ge=1, le=5_000, description="Inducing points m; the time for a step grows as m^2.")
    max_steps: int = Field(200, ge=1, description="Most steps of the fit in a round; mostly fewer to the plateau.")

    def surrogate(self, codes: torch.Tensor, values: torch.Tensor, rng: torch.Generator) -> Surrogate:
        """The model of `(n,)` values at `(n, l)` codes."""
        from dimecli.search.sparse import fit_sparse

        return fit_sparse(codes, values, self.inducing, self.kernel, self.max_steps, rng)
