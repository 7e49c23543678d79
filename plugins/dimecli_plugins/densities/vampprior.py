"""A mixture of the posteriors of training samples."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field

from dimecli.errors import UserError
from dimecli.lazy import torch
from dimecli.plugin import Context, Density, Fitted


class VampPrior(Density):
    """The mixture of the Gaussian posteriors of K random training samples (Tomczak and Welling 2018, eq. 9, ex post).

    `p(z) = 1/K sum_k N(z; mean_k, diag std_k^2)`: a part of the aggregate posterior, which is the best
    prior for the reconstructions at hand and keeps samples close to those K. Nothing is learned. Runs
    of objective `vampprior` have learned the inputs of their mixture: that one is `--density prior`.
    """

    components: int = Field(500, ge=1, description="Number of training samples, K; at most all of them.")
    temperature: float = Field(1.0, gt=0, description="Factor on the standard deviation of each Gaussian drawn from.")

    latent_spaces = frozenset({"euclidean"})
    sampling_options = frozenset({"temperature"})

    def fit(self, codes: torch.Tensor, rng: torch.Generator, context: Context) -> Fitted:
        """The mixture of `(N, l)` codes, means of posteriors with the standard deviations of the context.

        Raises:
            UserError: the codes have no Gaussian posteriors.
        """
        if context.std is None:
            raise UserError("--density vampprior: the codes of this run have no Gaussian posteriors; use gmm or kde")
        chosen = torch.randperm(len(codes), generator=rng)[: self.components]
        return self.restore({"mean": codes[chosen], "log_variance": 2 * context.std[chosen].log()}, context)

    def restore(self, state: Mapping[str, torch.Tensor], context: Context) -> Fitted:
        """The mixture of that state."""
        from dimecli.nn.mixture import DiagonalMixture
        from dimecli.nn.normal import DiagonalNormal

        return DiagonalMixture(DiagonalNormal(state["mean"], state["log_variance"])).tempered(self.temperature)
