"""What densities over codes keep to."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar, Protocol

from dimecli.lazy import torch
from dimecli.plugin.base import LatentSpace, Plugin


class Fitted(Protocol):
    """A distribution over codes: a fitted density, or the prior of an objective."""

    def sample(self, n: int, rng: torch.Generator) -> torch.Tensor:
        """`(n, l)` independent draws, in no particular order."""

    def log_prob(self, z: torch.Tensor) -> torch.Tensor:
        """`(n,)` log-densities in nats of `(n, l)` codes."""

    def state(self) -> dict[str, torch.Tensor]:
        """What was learned, for `Density.restore`."""


class Density(Plugin):
    """A distribution fitted to the codes of a trained model, to sample from it (ex-post density)."""

    kind = "density"
    group = "dimecli.densities"

    latent_spaces: ClassVar[frozenset[LatentSpace]] = frozenset({"euclidean", "sphere"})
    needs_codes: ClassVar[bool] = True
    """False where `fit` looks at the dimension of the codes alone: it then gets none of them."""
    sampling_options: ClassVar[frozenset[str]] = frozenset()
    """Options that only `sample` uses: changing them needs no new fit."""

    @abstractmethod
    def fit(self, codes: torch.Tensor, rng: torch.Generator, prior: Fitted | None = None) -> Fitted:
        """Fit `(N, l)` codes. `prior` is that of the run's objective, None where it has none."""

    @abstractmethod
    def restore(self, state: Mapping[str, torch.Tensor], prior: Fitted | None = None) -> Fitted:
        """What `fit` returned, from its `state()` and the same prior."""
