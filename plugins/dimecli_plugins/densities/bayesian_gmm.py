"""A Bayesian mixture of Gaussians over the codes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from dimecli.lazy import torch
from dimecli.nn.expectation import fit_mixture
from dimecli.plugin import Context, Density, Fitted


class BayesianGMM(Density):
    """A GMM with a Dirichlet prior on its weights, fitted by variational inference (Bishop 2006, section 10.2).

    RAE's text says `gmm`, but the numbers in its tables were recorded with this one, 10 components and a
    concentration of 1/10. The prior empties components that the codes do not need. The density is the one
    at the posterior's expected weights, means and precisions. A fit that stops at `--max-iter` before it
    converges is used as it is,
    which is told.
    """

    components: int = Field(10, ge=1, description="Number of Gaussians, K.")
    concentration: float | None = Field(
        None, gt=0, description="Concentration of the symmetric Dirichlet prior on the weights; if not given, 1/K."
    )
    covariance: Literal["full", "diag"] = Field("full", description="Covariance of each Gaussian: full or diagonal.")
    max_iter: int = Field(100, ge=1, description="Most iterations of variational inference.")
    temperature: float = Field(1.0, gt=0, description="Factor on the standard deviation of each Gaussian drawn from.")

    sampling_options = frozenset({"temperature"})

    def fit(self, codes: torch.Tensor, rng: torch.Generator, context: Context) -> Fitted:
        """The mixture of `(N, l)` codes, computed in float64.

        Raises:
            UserError: there are fewer codes than components.
            DimeError: the codes are not finite, or all the same.
        """
        from sklearn.mixture import BayesianGaussianMixture

        options = {
            "weight_concentration_prior_type": "dirichlet_distribution",
            "weight_concentration_prior": self.concentration or 1 / self.components,
            "covariance_type": self.covariance,
            "max_iter": self.max_iter,
        }
        return fit_mixture(BayesianGaussianMixture, codes, rng, self.components, **options).tempered(self.temperature)

    def restore(self, state: Mapping[str, torch.Tensor], context: Context) -> Fitted:
        """The mixture of that state."""
        from dimecli.distributions import GaussianMixture

        return GaussianMixture.from_state(state).tempered(self.temperature)
