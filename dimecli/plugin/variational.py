"""What objectives with an approximate posterior share."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from dimecli.data.likelihood import LocationScale
from dimecli.data.spec import Spec
from dimecli.plugin.network import Network
from dimecli.plugin.objective import Objective


class VariationalObjective(Objective):
    """An objective that weights the divergence of a posterior from the prior by beta, against the reconstruction."""

    beta: float | None = Field(
        None,
        ge=0,
        description="Weight beta of the KL divergence; if not given, 0.1 for sentences and for x with a fixed "
        "variance, else 1 (ELBO).",
    )

    def build(self, spec: Spec, network: Network) -> Any:
        """A model with fresh weights; by default its posterior is a Gaussian with a diagonal covariance."""
        from dimecli.model import VariationalAutoencoder

        return VariationalAutoencoder.of(spec, network, self.latent_size)

    def weight(self, spec: Spec) -> float:
        """The beta in force for this data.

        At 1 the loss is the negative evidence lower bound. With a variance of 1/2, and for the
        productions of a grammar, that costs a model its codes.
        """
        if self.beta is not None:
            return self.beta
        fixed = isinstance(spec.likelihood, LocationScale) and spec.likelihood.noise == "fixed"
        return 0.1 if fixed or spec.modality == "sentence" else 1.0
