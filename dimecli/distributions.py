"""Distributions over codes: priors and fitted densities. Importing this module imports torch.

All draw from the generator that they are given, and from it alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol, runtime_checkable

import torch
import torch.nn.functional as F

from dimecli.errors import DimeError
from dimecli.plugin import Fitted

SMALLEST_VARIANCE = 1e-10
"""Least variance along any direction, as a share of the mean variance: finer structure is lost in float32 codes."""


def check_codes(codes: torch.Tensor) -> None:
    """Checks that a density can be fitted to `(N, l)` codes.

    Raises:
        DimeError: some are not finite, or all are the same.
    """
    if not codes.isfinite().all():
        raise DimeError("no density fits codes that are NaN or infinite; train again, with a lower learning rate")
    if (codes == codes[0]).all():
        raise DimeError("no density fits codes that are all the same; the encoder has collapsed, so train again")


@runtime_checkable
class Tempered(Fitted, Protocol):
    """A distribution whose draws can be brought nearer to where it is dense, or spread."""

    def tempered(self, temperature: float) -> Fitted:
        """The same with standard deviations times `temperature` in `sample`; `log_prob` stays what it is."""


@dataclass(frozen=True)
class StandardNormal:
    """N(0, I) of `size` dimensions, or N(0, std^2 I)."""

    size: int
    temperature: float = 1.0
    std: float = 1.0

    def sample(self, n: int, rng: torch.Generator) -> torch.Tensor:
        """`(n, l)` draws, float32, on the generator's device."""
        return self.temperature * self.std * torch.randn(n, self.size, generator=rng, device=rng.device)

    def log_prob(self, z: torch.Tensor) -> torch.Tensor:
        """`(n,)` nats: `-(|z / std|^2 + l log(2 pi std^2)) / 2`."""
        return -0.5 * ((z / self.std).square().sum(1) + self.size * math.log(2 * math.pi * self.std**2))

    def state(self) -> dict[str, torch.Tensor]:
        """`size` and `std`."""
        return {"size": torch.tensor(self.size), "std": torch.tensor(self.std)}

    def tempered(self, temperature: float) -> StandardNormal:
        """The same that draws from N(0, temperature^2 std^2 I)."""
        return replace(self, temperature=temperature)


@dataclass(frozen=True)
class HypersphereUniform:
    """The uniform distribution on the unit sphere in `size` dimensions, S^(size - 1)."""

    size: int

    def sample(self, n: int, rng: torch.Generator) -> torch.Tensor:
        """`(n, l)` draws of length 1, float32, on the generator's device."""
        return F.normalize(torch.randn(n, self.size, generator=rng, device=rng.device), dim=1)

    def log_prob(self, z: torch.Tensor) -> torch.Tensor:
        """`(n,)` nats per surface area, `-log(2 pi^(l/2) / Gamma(l/2))` wherever z is on the sphere."""
        half = self.size / 2
        log_area = math.log(2) + half * math.log(math.pi) - math.lgamma(half)
        return z.new_full(z.shape[:1], -log_area)

    def state(self) -> dict[str, torch.Tensor]:
        """`size`."""
        return {"size": torch.tensor(self.size)}


@dataclass(frozen=True, eq=False)
class GaussianMixture:
    """`sum_k weights_k N(means_k, L_k L_k^T)` with `scale_trils` L; a Gaussian is a mixture of one.

    `record` holds further tensors to keep in the state, such as how a fit went.
    """

    weights: torch.Tensor  # (K,)
    means: torch.Tensor  # (K, l)
    scale_trils: torch.Tensor  # (K, l, l)
    temperature: float = 1.0
    record: Mapping[str, torch.Tensor] = field(default_factory=dict)

    @classmethod
    def from_covariances(
        cls,
        weights: torch.Tensor,
        means: torch.Tensor,
        covariances: torch.Tensor,
        like: torch.Tensor,
        **record: torch.Tensor,
    ) -> GaussianMixture:
        """The mixture with `(K, l, l)` covariances, with parameters and samples of the dtype of `like`.

        A covariance that is singular, or nearly so, gets on its diagonal the least that raises its
        smallest eigenvalue to `SMALLEST_VARIANCE` times its mean variance.
        """
        covariances = covariances.double()
        smallest = torch.linalg.eigvalsh(covariances)[:, 0]  # (K,)
        wanted = SMALLEST_VARIANCE * covariances.diagonal(dim1=1, dim2=2).mean(1)
        jitter = (wanted - smallest).clamp(min=0)[:, None].expand(means.shape).diag_embed()
        scale_trils = torch.linalg.cholesky(covariances + jitter).contiguous()
        return cls(weights.to(like), means.to(like), scale_trils.to(like), record=record)

    @classmethod
    def from_state(cls, state: Mapping[str, torch.Tensor]) -> GaussianMixture:
        """The mixture that has this `state()`."""
        record = dict(state)
        weights, means, scale_trils = (record.pop(name) for name in ("weights", "means", "scale_trils"))
        return cls(weights, means, scale_trils, record=record)

    def sample(self, n: int, rng: torch.Generator) -> torch.Tensor:
        """`(n, l)` draws in no particular order."""
        component = torch.multinomial(self.weights, n, replacement=True, generator=rng)  # (n,)
        noise = torch.randn(n, self.means.shape[1], generator=rng, device=rng.device, dtype=self.means.dtype)
        z = self.means[component]
        for k, scale_tril in enumerate(self.scale_trils):
            chosen = component == k
            z[chosen] += self.temperature * noise[chosen] @ scale_tril.T
        return z

    def log_prob(self, z: torch.Tensor) -> torch.Tensor:
        """`(n,)` nats, computed in float64."""
        parameters = (self.weights.double().log(), self.means.double(), self.scale_trils.double())
        components = [
            log_weight + _normal_log_prob(z.double(), mean, scale_tril)
            for log_weight, mean, scale_tril in zip(*parameters, strict=True)
        ]
        return torch.stack(components).logsumexp(0).to(z.dtype)

    def state(self) -> dict[str, torch.Tensor]:
        """`weights` (K,), `means` (K, l), `scale_trils` (K, l, l), and the record."""
        return {**self.record, "weights": self.weights, "means": self.means, "scale_trils": self.scale_trils}

    def tempered(self, temperature: float) -> GaussianMixture:
        """The same mixture that draws from components with standard deviations times `temperature`."""
        return replace(self, temperature=temperature)


def _normal_log_prob(z: torch.Tensor, mean: torch.Tensor, scale_tril: torch.Tensor) -> torch.Tensor:
    white = torch.linalg.solve_triangular(scale_tril, (z - mean).T, upper=False)  # (l, n)
    log_scale = scale_tril.diagonal().log().sum()
    log_prob: torch.Tensor = -0.5 * (white.square().sum(0) + len(mean) * math.log(2 * math.pi)) - log_scale
    return log_prob
