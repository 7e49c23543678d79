"""What a model of the values keeps to: the exact Gaussian process and the sparse one."""

from __future__ import annotations

from typing import Protocol

import torch


class Joint(Protocol):
    """The posterior of the latent function at m points together, in the scale of the values."""

    @property
    def mean(self) -> torch.Tensor:
        """`(m,)` means."""

    @property
    def variance(self) -> torch.Tensor:
        """`(m,)` variances, without the noise."""

    def column(self, j: int) -> torch.Tensor:
        """`(m,)` posterior covariances with point j, at the cost of O(n^2 + n m) for n points in the model."""


class Surrogate(Protocol):
    """A fitted Gaussian process; larger values are better."""

    @property
    def noise(self) -> float:
        """Variance of the noise, in the scale of the values squared."""

    def predict(self, z: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and standard deviation of the latent function at `(m, l)` codes, both `(m,)`, differentiable."""

    def posterior(self, z: torch.Tensor) -> Joint:
        """The joint posterior at `(m, l)` codes, without a graph."""
