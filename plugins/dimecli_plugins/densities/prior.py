"""The prior of the run's objective."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field

from dimecli.errors import UserError
from dimecli.lazy import torch
from dimecli.plugin import Context, Density, Fitted


class Prior(Density):
    """The distribution that the objective asks its codes to have, such as N(0, I) of a VAE; nothing is fitted."""

    temperature: float = Field(1.0, gt=0, description="Factor on the standard deviation of what is drawn.")

    needs_codes = False
    sampling_options = frozenset({"temperature"})

    def fit(self, codes: torch.Tensor, rng: torch.Generator, context: Context) -> Fitted:
        """The prior.

        Raises:
            UserError: there is none, or it has no standard deviation to scale.
        """
        from dimecli.distributions import Tempered

        prior = context.prior
        if prior is None:
            raise UserError("--density prior: this run's objective has no prior; use --density gaussian or gmm")
        if self.temperature == 1:
            return prior
        if not isinstance(prior, Tempered):
            raise UserError(
                f"--temperature {self.temperature:g}: this run's prior, {type(prior).__name__}, has no standard "
                "deviation to scale; only 1 is allowed"
            )
        return prior.tempered(self.temperature)

    def restore(self, state: Mapping[str, torch.Tensor], context: Context) -> Fitted:
        """The prior: it comes with the run, not from the state."""
        return self.fit(torch.empty(0), torch.Generator(), context)
