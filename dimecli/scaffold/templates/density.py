"""A Laplace distribution over the codes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import Field

from dimecli.lazy import torch
from dimecli.plugin import Context, Density, Fitted


class Example(Density):
    """A Laplace distribution for each dimension of the codes: more of them far out than a Gaussian has.

    `log p(z) = -sum_d (|z_d - m_d| / b_d + log(2 b_d))` with the medians m and the mean distances b from them.
    """

    smallest: float = Field(1e-4, gt=0, description="Least scale b of a dimension, for those that hardly vary.")

    def fit(self, codes: torch.Tensor, rng: torch.Generator, context: Context) -> Fitted:
        """The maximum of the likelihood of `(N, l)` codes."""
        median = codes.median(0).values  # (l,)
        return _Laplace(median, (codes - median).abs().mean(0).clamp(min=self.smallest))

    def restore(self, state: Mapping[str, torch.Tensor], context: Context) -> Fitted:
        """The distribution of that state."""
        return _Laplace(**state)


@dataclass(frozen=True)
class _Laplace:
    """What was fitted: `(l,)` medians and scales."""

    median: torch.Tensor
    scale: torch.Tensor

    def sample(self, n: int, rng: torch.Generator) -> torch.Tensor:
        """`(n, l)` draws: the difference of two exponential variables has a Laplace distribution."""
        exponential = torch.empty(2, n, len(self.median)).exponential_(generator=rng)
        return self.median + self.scale * (exponential[0] - exponential[1])

    def log_prob(self, z: torch.Tensor) -> torch.Tensor:
        """`(n,)` nats of `(n, l)` codes."""
        return -((z - self.median).abs() / self.scale + (2 * self.scale).log()).sum(1)

    def state(self) -> dict[str, torch.Tensor]:
        """The medians and scales."""
        return dict(vars(self))
