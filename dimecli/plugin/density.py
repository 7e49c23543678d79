"""What densities over codes keep to."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Protocol

from dimecli.console import QUIET, Reporter
from dimecli.lazy import torch
from dimecli.plugin.base import LatentSpace, Plugin


class Fitted(Protocol):
    """A distribution over codes: a fitted density, or the prior of an objective."""

    def sample(self, n: int, rng: torch.Generator) -> torch.Tensor:
        """`(n, l)` independent draws, in no particular order."""

    def log_prob(self, z: torch.Tensor) -> torch.Tensor:
        """`(n,)` log-densities in nats of `(n, l)` codes.

        Per surface area where all draws have length 1, else per volume of the whole space.
        """

    def state(self) -> dict[str, torch.Tensor]:
        """What was learned, for `Density.restore`."""


@dataclass(frozen=True)
class Context:
    """What a density may want besides the codes.

    Attributes:
        prior: That of the run's objective, None where it has none.
        std: `(N, l)` standard deviations of the Gaussian posteriors whose means the codes are; None
            where codes are deterministic, or their posteriors are no Gaussians.
        device: Where to compute what takes long; codes, states and draws stay on the CPU.
        reporter: Told how a long fit goes.
    """

    prior: Fitted | None = None
    std: torch.Tensor | None = None
    device: str = "cpu"
    reporter: Reporter = QUIET


class Density(Plugin):
    """A distribution fitted to the codes of a trained model, to sample from it (ex-post density)."""

    kind = "density"
    group = "dimecli.densities"

    latent_spaces: ClassVar[frozenset[LatentSpace]] = frozenset({"euclidean", "sphere"})
    needs_codes: ClassVar[bool] = True
    """False where `fit` looks at the dimension of the codes alone: it then gets none of them."""
    normalized: ClassVar[bool] = True
    """False where `log_prob` is a bound, or right up to a constant, so that it does not integrate to one."""
    sampling_options: ClassVar[frozenset[str]] = frozenset()
    """Options that only `sample` uses: changing them needs no new fit."""

    @abstractmethod
    def fit(self, codes: torch.Tensor, rng: torch.Generator, context: Context) -> Fitted:
        """Fit `(N, l)` codes of the training samples."""

    @abstractmethod
    def restore(self, state: Mapping[str, torch.Tensor], context: Context) -> Fitted:
        """What `fit` returned, from its `state()` and the prior of the context, the only thing that has to be there."""
