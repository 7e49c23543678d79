"""A Gaussian over the codes."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field

from dimecli.lazy import torch
from dimecli.plugin import Context, Density, Fitted


class Gaussian(Density):
    """A Gaussian with the mean and the full, unbiased covariance of the codes (the papers' N or MVG).

    Codes that fill no more than a subspace (fewer codes than dimensions, constant ones) are given the
    least variance beside it that float32 codes resolve: 1e-10 of their mean variance.
    """

    temperature: float = Field(1.0, gt=0, description="Factor on the standard deviation of what is drawn.")

    sampling_options = frozenset({"temperature"})

    def fit(self, codes: torch.Tensor, rng: torch.Generator, context: Context) -> Fitted:
        """The Gaussian of `(N, l)` codes, computed in float64.

        Raises:
            DimeError: the codes are not finite, or all the same.
        """
        from dimecli.distributions import GaussianMixture, check_codes

        check_codes(codes)
        exact = codes.double()
        mean = exact.mean(0, keepdim=True)  # (1, l)
        covariance = (exact - mean).T @ (exact - mean) / (len(codes) - 1)
        mixture = GaussianMixture.from_covariances(torch.ones(1), mean, covariance[None], like=codes)
        return mixture.tempered(self.temperature)

    def restore(self, state: Mapping[str, torch.Tensor], context: Context) -> Fitted:
        """The Gaussian of that state."""
        from dimecli.distributions import GaussianMixture

        return GaussianMixture.from_state(state).tempered(self.temperature)
