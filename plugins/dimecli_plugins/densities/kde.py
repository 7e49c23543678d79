"""A kernel density estimate over the codes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from pydantic import Field

from dimecli.lazy import torch
from dimecli.nn.distances import squared_distances
from dimecli.plugin import Context, Density, Fitted

_ENTRIES = 2**22  # distances that are held at once
_LEFT_OUT = 1_000  # codes whose density under all others a bandwidth is judged by
_BANDWIDTHS = tuple(0.02 * 1.25**k for k in range(21))  # 0.02 to 1.73


class KDE(Density):
    """A Gaussian of one common covariance around every training code: `p(z) = mean_i N(z; code_i, h^2 S)`.

    S is the covariance of the codes. The bandwidth h is the one, of 21 from 0.02 to 1.73, under which
    1,000 random codes are most likely given all others; or it follows a rule that is right for Gaussian
    codes: Scott's `N^(-1/(l+4))` or Silverman's `(N (l + 2) / 4)^(-1/(l+4))`. The rules smooth far too
    much in many dimensions, where they tend to 1. The density keeps all codes. On a sphere its draws
    lie beside the sphere, as a GMM's do.
    """

    bandwidth: Literal["cross-validated", "scott", "silverman"] = Field(
        "cross-validated", description="How to choose h, the kernel's standard deviation relative to the codes'."
    )
    temperature: float = Field(1.0, gt=0, description="Factor on the standard deviation of each kernel drawn from.")

    sampling_options = frozenset({"temperature"})

    def fit(self, codes: torch.Tensor, rng: torch.Generator, context: Context) -> Fitted:
        """The estimate of `(N, l)` codes.

        Raises:
            DimeError: the codes are not finite, or all the same.
        """
        from dimecli.distributions import GaussianMixture, check_codes

        check_codes(codes)
        exact = codes.double()
        covariance = torch.cov(exact.T).view(1, codes.shape[1], -1)
        scale_tril = GaussianMixture.from_covariances(torch.ones(1), exact[:1], covariance, like=exact).scale_trils[0]
        h = torch.tensor(self._bandwidth(exact, scale_tril, rng), dtype=torch.float64)
        return self.restore({"codes": codes, "scale_tril": (h * scale_tril).to(codes), "bandwidth": h}, context)

    def restore(self, state: Mapping[str, torch.Tensor], context: Context) -> Fitted:
        """The estimate of that state."""
        return KernelDensity(state["codes"], state["scale_tril"], state["bandwidth"], self.temperature)

    def _bandwidth(self, codes: torch.Tensor, scale_tril: torch.Tensor, rng: torch.Generator) -> float:
        count, size = codes.shape
        match self.bandwidth:
            case "scott":
                return float(count ** (-1 / (size + 4)))
            case "silverman":
                return float((count * (size + 2) / 4) ** (-1 / (size + 4)))
            case "cross-validated":
                return most_likely(_whiten(codes, scale_tril), torch.randperm(count, generator=rng)[:_LEFT_OUT])


@dataclass(frozen=True, eq=False)
class KernelDensity:
    """`mean_i N(codes_i, L L^T)` with `scale_tril` L."""

    codes: torch.Tensor  # (N, l)
    scale_tril: torch.Tensor  # (l, l)
    bandwidth: torch.Tensor  # (), h; already part of the scale
    temperature: float = 1.0

    def sample(self, n: int, rng: torch.Generator) -> torch.Tensor:
        """`(n, l)` draws in no particular order."""
        chosen = torch.randint(len(self.codes), (n,), generator=rng)
        noise = torch.randn(n, self.codes.shape[1], generator=rng, dtype=self.codes.dtype)
        return self.codes[chosen] + self.temperature * noise @ self.scale_tril.T

    def log_prob(self, z: torch.Tensor) -> torch.Tensor:
        """`(n,)` nats, computed in float64."""
        scale_tril = self.scale_tril.double()
        centre = self.codes[0].double()  # distances are those of the codes, but small numbers square better
        white, codes = (_whiten(x.double() - centre, scale_tril) for x in (z, self.codes))
        rows = white.split(max(1, _ENTRIES // len(codes)))
        kernels = torch.cat([(squared_distances(part, codes) / -2).logsumexp(1) for part in rows])
        log_scale = scale_tril.diagonal().log().sum() + codes.shape[1] / 2 * math.log(2 * math.pi)
        return (kernels - log_scale - math.log(len(codes))).to(z.dtype)

    def state(self) -> dict[str, torch.Tensor]:
        """`codes` (N, l), `scale_tril` (l, l) and `bandwidth`."""
        return {"codes": self.codes, "scale_tril": self.scale_tril, "bandwidth": self.bandwidth}

    def tempered(self, temperature: float) -> KernelDensity:
        """The same estimate that draws from kernels with standard deviations times `temperature`."""
        return replace(self, temperature=temperature)


def most_likely(white: torch.Tensor, left_out: torch.Tensor) -> float:
    """The bandwidth under which codes are most likely given all others (leave-one-out cross-validation).

    Args:
        white: `(N, l)` codes with the unit matrix as their covariance.
        left_out: Indices of those to leave out, one at a time.
    """
    totals = torch.zeros(len(_BANDWIDTHS), dtype=torch.float64)
    for rows in left_out.split(max(1, _ENTRIES // len(white))):
        squares = squared_distances(white[rows], white)
        squares[torch.arange(len(rows)), rows] = math.inf
        totals += torch.stack([(squares / (-2 * h * h)).logsumexp(1).sum() for h in _BANDWIDTHS])
    totals -= len(left_out) * white.shape[1] * torch.tensor(_BANDWIDTHS, dtype=torch.float64).log()
    return _BANDWIDTHS[int(totals.argmax())]


def _whiten(z: torch.Tensor, scale_tril: torch.Tensor) -> torch.Tensor:
    white: torch.Tensor = torch.linalg.solve_triangular(scale_tril, z.T, upper=False).T
    return white
