"""A mixture of Gaussians over the codes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from dimecli.lazy import torch
from dimecli.nn.expectation import fit_mixture
from dimecli.plugin import Context, Density, Fitted


class GMM(Density):
    """A mixture of Gaussians, fitted by expectation-maximisation (RAE, section 5; DIME samples from 10).

    The fit starts from k-means. One that stops at `--max-iter` before it converges is used as it is,
    which is told.
    """

    components: int = Field(10, ge=1, description="Number of Gaussians, K.")
    covariance: Literal["full", "diag"] = Field("full", description="Covariance of each Gaussian: full or diagonal.")
    max_iter: int = Field(100, ge=1, description="Most iterations of expectation-maximisation.")
    temperature: float = Field(1.0, gt=0, description="Factor on the standard deviation of each Gaussian drawn from.")

    sampling_options = frozenset({"temperature"})

    def fit(self, codes: torch.Tensor, rng: torch.Generator, context: Context) -> Fitted:
        """The mixture of `(N, l)` codes, computed in float64.

        Raises:
            UserError: there are fewer codes than components.
            DimeError: the codes are not finite, or all the same.
        """
        from sklearn.mixture import GaussianMixture

        options = {"covariance_type": self.covariance, "max_iter": self.max_iter}
        return fit_mixture(GaussianMixture, codes, rng, self.components, **options).tempered(self.temperature)

    def restore(self, state: Mapping[str, torch.Tensor], context: Context) -> Fitted:
        """The mixture of that state."""
        from dimecli.distributions import GaussianMixture

        return GaussianMixture.from_state(state).tempered(self.temperature)
