"""Likelihoods `p(x|z)`: what the parameters that a decoder puts out mean.

A likelihood belongs to the data (`Spec.likelihood`). `nll` is in nats, summed over the elements of
one sample, without the constants that no parameter can change; `constant` gives those per element,
so `nll + constant * elements` is the exact negative log-density.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import ClassVar, Literal

from pydantic import Field

from dimecli.lazy import F, nn, torch
from dimecli.settings import Settings

Noise = Literal["fixed", "learned", "predicted"]
"""Whether the noise of x is set, learned as one number, or predicted by the decoder for every element."""


class Likelihood(Settings):
    """A distribution of x given the parameters that a decoder puts out, `(B, *parameters(shape))`."""

    reparametrised: ClassVar[bool] = False
    """Whether the gradient of `sample` with respect to the parameters is that of its draws."""

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


class LocationScale(Likelihood):
    """A mean and a standard deviation for every element of x, which the family's own parameters follow from.

    The noise has the standard deviation `sqrt(variance)` if it is fixed, one number for all elements
    that is learned, starting there, or one for each element that the decoder predicts. Where it is not
    fixed, parameters are the means and behind them, on dim 1, the logs of the standard deviations,
    which `dimecli.nn.noise` keeps between -7 and 7: within 0.0009 and 1097. A bounded mean lies in
    [0, 1], as pixels do.
    """

    name: str
    variance: float = Field(0.5, gt=1e-6, lt=1e6)
    bounded: bool = False
    noise: Noise = Field("fixed", exclude_if=lambda noise: noise == "fixed")  # records keep the form they always had

    def parameters(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Shape of the free numbers of one sample: twice the channels, or features, if the noise is predicted."""
        return (2 * shape[0], *shape[1:]) if self.noise == "predicted" else shape

    def output(self) -> nn.Module:
        """The last layer of a decoder: from free numbers to means, and log standard deviations behind them."""
        mean = nn.Sigmoid() if self.bounded else nn.Identity()
        if self.noise == "fixed":
            return mean
        from dimecli.nn.noise import LearnedNoise, PredictedNoise

        noise = LearnedNoise if self.noise == "learned" else PredictedNoise
        return noise(mean, math.log(self.variance) / 2)

    def split(self, parameters: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """`(B, *shape)` means and log standard deviations; None for those of a fixed noise."""
        if self.noise == "fixed":
            return parameters, None
        mean, log_std = parameters.chunk(2, dim=1)
        return mean, log_std

    def estimate(self, parameters: torch.Tensor) -> torch.Tensor:
        """The mean, `(B, *shape)`, inside the data's range."""
        mean, _ = self.split(parameters)
        return mean.clamp(0, 1) if self.bounded else mean

    def add_noise(self, parameters: torch.Tensor, standard: torch.Tensor) -> torch.Tensor:
        """The means plus `(B, *shape)` noise of variance 1, scaled; not clipped, so that its law is exact."""
        mean, log_std = self.split(parameters)
        return mean + (math.sqrt(self.variance) if log_std is None else log_std.exp()) * standard


class Gaussian(LocationScale):
    """Gaussian: `nll = |x - mean|^2 / (2 variance)`, plus half of the summed log-variance where that is not fixed.

    The default variance of 1/2 makes `nll` the summed squared error, the unit in which DIME and RAE
    publish their weights.
    """

    reparametrised: ClassVar[bool] = True

    name: Literal["gaussian"] = "gaussian"

    def nll(self, parameters: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """`(B,)` nats of `(B, *shape)` data."""
        mean, log_std = self.split(parameters)
        error = (x - mean).flatten(1)  # (B, D)
        if log_std is None:
            return error.square().sum(1) / (2 * self.variance)
        log_std = log_std.flatten(1)
        return ((error * torch.exp(-log_std)).square() / 2 + log_std).sum(1)

    def sample(self, parameters: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        """A draw of x, `(B, *shape)`, with gradients to the parameters."""
        mean, _ = self.split(parameters)
        return self.add_noise(parameters, torch.randn(mean.shape, generator=rng, device=mean.device, dtype=mean.dtype))

    @property
    def constant(self) -> float:
        """Nats per element that `nll` leaves out: `log(2 pi) / 2`, and the log of a fixed standard deviation."""
        return 0.5 * math.log(2 * math.pi * (self.variance if self.noise == "fixed" else 1))


class Laplace(LocationScale):
    """Laplace: `nll = sqrt(2) |x - mean| / std`, summed, plus the summed log of std where that is not fixed.

    What minimises it is the median of the data, not their expectation; `mean` is both of a Laplace's own.
    """

    reparametrised: ClassVar[bool] = True

    name: Literal["laplace"] = "laplace"

    def nll(self, parameters: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """`(B,)` nats of `(B, *shape)` data."""
        mean, log_std = self.split(parameters)
        error = (x - mean).abs().flatten(1)  # (B, D)
        if log_std is None:
            return error.sum(1) * math.sqrt(2 / self.variance)
        log_std = log_std.flatten(1)
        return (math.sqrt(2) * error * torch.exp(-log_std) + log_std).sum(1)

    def sample(self, parameters: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        """A draw of x, `(B, *shape)`, with gradients to the parameters: a difference of exponential variables."""
        mean, _ = self.split(parameters)
        first, second = torch.empty((2, *mean.shape), device=mean.device, dtype=mean.dtype).exponential_(generator=rng)
        return self.add_noise(parameters, (first - second) / math.sqrt(2))

    @property
    def constant(self) -> float:
        """Nats per element that `nll` leaves out: `log(2) / 2`, and the log of a fixed standard deviation."""
        return 0.5 * math.log(2 * (self.variance if self.noise == "fixed" else 1))


class Bernoulli(Likelihood):
    """Bernoulli over values in [0, 1], given by its logits: `nll` is the binary cross entropy.

    Dynamic pixels are binarised anew each time that a model sees them: 1 with their value as the
    probability (Salakhutdinov and Murray, 2008).
    """

    name: Literal["bernoulli"] = "bernoulli"
    dynamic: bool = Field(False, exclude_if=lambda dynamic: not dynamic)  # records keep the form they always had

    def observe(self, x: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        """The x that a step of training sees, `(B, *shape)`: zeros and ones if pixels are dynamic."""
        return torch.bernoulli(x, generator=rng) if self.dynamic else x

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
