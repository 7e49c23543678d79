"""The uniform distribution on the sphere."""

from __future__ import annotations

from collections.abc import Mapping

from dimecli.lazy import torch
from dimecli.plugin import Context, Density, Fitted


class SphereUniform(Density):
    """The uniform distribution on the unit sphere, the one that DIME spreads its codes towards; nothing is fitted."""

    needs_codes = False
    latent_spaces = frozenset({"sphere"})

    def fit(self, codes: torch.Tensor, rng: torch.Generator, context: Context) -> Fitted:
        """The distribution in the dimension l of `(N, l)` codes."""
        from dimecli.distributions import HypersphereUniform

        return HypersphereUniform(codes.shape[1])

    def restore(self, state: Mapping[str, torch.Tensor], context: Context) -> Fitted:
        """The distribution in the dimension that the state tells."""
        from dimecli.distributions import HypersphereUniform

        return HypersphereUniform(int(state["size"]))
