"""A mixture of Gaussians over the codes."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from dimecli.errors import UserError
from dimecli.lazy import torch
from dimecli.plugin import Context, Density, Fitted

_REGULARISATION = 1e-6  # of the codes' mean variance, added to every variance of every component


class GMM(Density):
    """A mixture of Gaussians, fitted by expectation-maximisation (RAE, section 5; DIME samples from 10).

    The fit starts from k-means. One that stops at `--max-iter` before it converges is used as it is:
    `converged` and `iterations` in the density's file tell.
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
        from dimecli.distributions import GaussianMixture, check_codes

        if len(codes) < self.components:
            raise UserError(f"--components {self.components}: at most the number of codes, {len(codes)}, is allowed")
        check_codes(codes)
        mixture = self._maximise(codes.double(), int(torch.randint(2**31, (), generator=rng)))
        covariances = torch.from_numpy(mixture.covariances_)  # (K, l, l), or (K, l) if diagonal
        fitted = GaussianMixture.from_covariances(
            torch.from_numpy(mixture.weights_),
            torch.from_numpy(mixture.means_),
            covariances if self.covariance == "full" else covariances.diag_embed(),
            like=codes,
            converged=torch.tensor(mixture.converged_),
            iterations=torch.tensor(mixture.n_iter_),
        )
        return fitted.tempered(self.temperature)

    def restore(self, state: Mapping[str, torch.Tensor], context: Context) -> Fitted:
        """The mixture of that state."""
        from dimecli.distributions import GaussianMixture

        return GaussianMixture.from_state(state).tempered(self.temperature)

    def _maximise(self, codes: torch.Tensor, seed: int) -> Any:
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.mixture import GaussianMixture

        mixture = GaussianMixture(
            self.components,
            covariance_type=self.covariance,
            max_iter=self.max_iter,
            reg_covar=_REGULARISATION * codes.var(0).mean().item(),
            random_state=seed,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            return mixture.fit(codes.numpy())
