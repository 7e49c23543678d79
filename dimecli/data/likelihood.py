"""Likelihoods `p(x|z)`: what the parameters that a decoder puts out mean.

A likelihood belongs to the data (`Spec.likelihood`). `nll` is in nats, summed over the elements of
one sample, without the constants that no parameter can change; `constant` gives those per element,
so `nll + constant * elements` is the exact negative log-density.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Literal

from pydantic import Field

from dimecli.lazy import F, nn, torch
from dimecli.settings import Settings


class Likelihood(Settings):
    """A distribution of x given the parameters that a decoder puts out, `(B, *parameters(shape))`."""

    def parameters(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Shape of the parameters of one sample of that shape."""
        return shape

    def output(self) -> nn.Module:
        """The last layer of a decoder: from free numbers to parameters."""
        return nn.Identity()

    def observe(self, x: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        """The x that a step of training sees, `(B, *shape)`: as it is, unless pixels are binarised anew each time."""
        return x

    @abstractmethod
    def nll(self, parameters: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """`(B,)` nats of `(B, *shape)` data."""

    @abstractmethod
    def estimate(self, parameters: torch.Tensor) -> torch.Tensor:
        """`(B, *shape)`: the one x that stands for the distribution."""

    @abstractmethod
    def sample(self, parameters: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        """A draw of x, `(B, *shape)`, whose log-density is exactly `-nll`, up to `constant`."""

    def decode(
        self, parameters: torch.Tensor, rng: torch.Generator | None = None, reserve: bool = True
    ) -> torch.Tensor:
        """`(B, *shape)`: what a user gets, the estimate, or a draw if `rng` is given.

        Derivations of a grammar always end within the maximum length if `reserve` is set, which changes
        the law of the draws; nothing else has anything to reserve.
        """
        return self.estimate(parameters) if rng is None else self.sample(parameters, rng)

    @property
    def constant(self) -> float:
        """Nats per element that `nll` leaves out."""
        return 0.0


class Gaussian(Likelihood):
    """Gaussian with a fixed variance: `nll = |x - mean|^2 / (2 variance)`.

    The default variance of 1/2 makes `nll` the summed squared error, the unit in which DIME and RAE
    publish their weights. A bounded Gaussian's mean lies in [0, 1], as pixels do.
    """

    name: Literal["gaussian"] = "gaussian"
    variance: float = Field(0.5, gt=0)
    bounded: bool = False

    def output(self) -> nn.Module:
        """The last layer of a decoder: from free numbers to the mean."""
        return nn.Sigmoid() if self.bounded else nn.Identity()

    def nll(self, mean: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """`(B,)` nats: `(B, *shape)` means against `(B, *shape)` data."""
        error = (x - mean).flatten(1)  # (B, D)
        return error.square().sum(1) / (2 * self.variance)

    def estimate(self, mean: torch.Tensor) -> torch.Tensor:
        """Expected x, `(B, *shape)`, inside the data's range."""
        return mean.clamp(0, 1) if self.bounded else mean

    def sample(self, mean: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        """A draw of x, `(B, *shape)`; not clipped, so that its law is exact."""
        noise = torch.randn(mean.shape, generator=rng, device=mean.device, dtype=mean.dtype)
        return mean + math.sqrt(self.variance) * noise

    @property
    def constant(self) -> float:
        """Nats per element that `nll` leaves out: `log(2 pi variance) / 2`."""
        return 0.5 * math.log(2 * math.pi * self.variance)


class Bernoulli(Likelihood):
    """Bernoulli over values in [0, 1], given by its logits: `nll` is the binary cross entropy."""

    name: Literal["bernoulli"] = "bernoulli"

    def nll(self, logits: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """`(B,)` nats: `(B, *shape)` logits against `(B, *shape)` data in [0, 1]."""
        entropy = F.binary_cross_entropy_with_logits(logits, x, reduction="none")
        return entropy.flatten(1).sum(1)

    def estimate(self, logits: torch.Tensor) -> torch.Tensor:
        """Expected x, `(B, *shape)`: the probability of a one."""
        return logits.sigmoid()

    def sample(self, logits: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        """A draw of zeros and ones, `(B, *shape)`."""
        return torch.bernoulli(logits.sigmoid(), generator=rng)
