"""The sparse Gaussian process: one that knows very many values by fewer inducing points."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch

from dimecli.console import Progress
from dimecli.search.bound import Bound, Solution, maximised, solve_lower
from dimecli.search.kernels import Kernel, correlation, distance_scale, standardisation

_SAMPLE = 10  # values for each inducing point in the sample that is fitted first
_START = (math.log(0.5), 0.0, math.log(0.2))  # length scales, output scale, noise


@dataclass(frozen=True, eq=False)
class SparsePosterior:
    """The joint posterior of a `SparseGP` at p points; a `Joint`."""

    mean: torch.Tensor  # (p,)
    variance: torch.Tensor  # (p,)
    gp: SparseGP
    points: torch.Tensor  # (p, l), in the length scales
    prior: torch.Tensor  # (m, p): what the inducing points explain
    data: torch.Tensor  # (m, p): what of it the values leave open

    def column(self, j: int) -> torch.Tensor:
        """`(p,)` posterior covariances with point j, in the scale of the values squared."""
        prior = self.gp.outputscale * correlation(self.points, self.points[j : j + 1])[:, 0]
        explained = self.prior.T @ self.prior[:, j] - self.data.T @ self.data[:, j]
        return self.gp.scale**2 * (prior - explained)


@dataclass(frozen=True, eq=False)
class SparseGP:
    """A Gaussian process that knows its n values by m inducing points; a `Surrogate`.

    The kernel is `outputscale * exp(-|(z - z') / lengthscale|^2 / 2)`. All but `inducing`, `lengthscale`,
    `steps` and `converged` is in the scale of standardised values, `(value - location) / scale`.
    """

    inducing: torch.Tensor  # (m, l) codes
    location: float
    scale: float
    lengthscale: torch.Tensor  # (1,), or (l,) with relevance determination
    outputscale: float
    noise_ratio: float
    solution: Solution
    steps: int
    converged: bool

    @property
    def noise(self) -> float:
        """Variance of the noise, in the scale of the values squared."""
        return self.noise_ratio * self.scale**2

    @property
    def bound(self) -> float:
        """The lower bound on the log marginal likelihood of the standardised values, nats per value."""
        return float(self.solution.bound)

    def predict(self, z: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and standard deviation of the latent function at `(p, l)` codes, both `(p,)`, differentiable."""
        mean, variance, _, _ = self._predict(z / self.lengthscale)
        return mean, variance.sqrt()

    @torch.no_grad()
    def posterior(self, z: torch.Tensor) -> SparsePosterior:
        """The joint posterior at `(p, l)` codes."""
        points = z / self.lengthscale
        mean, variance, prior, data = self._predict(points)
        return SparsePosterior(mean, variance, self, points, prior, data)

    def _predict(self, points: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        correlations = correlation(self.inducing / self.lengthscale, points)  # (m, p)
        prior = math.sqrt(self.outputscale) * solve_lower(self.solution.prior, correlations)
        data = solve_lower(self.solution.data, prior)
        mean = self.location + self.scale * (self.solution.weights @ data)
        share = self.outputscale - prior.square().sum(0) + data.square().sum(0)
        return mean, self.scale**2 * share.clamp(min=1e-12 * self.outputscale), prior, data


def fit_sparse(
    codes: torch.Tensor,
    values: torch.Tensor,
    inducing: int = 500,
    kernel: Kernel = "rbf",
    max_steps: int = 200,
    rng: torch.Generator | None = None,
    progress: Progress | None = None,
) -> SparseGP:
    """The sparse Gaussian process with the largest bound on the marginal likelihood, up to a plateau.

    Of very many values a random sample is fitted first: it brings hyperparameters and inducing points near
    to where all values want them. If there are no more values than inducing points, the codes are the
    inducing points, and the process is the exact one.

    Args:
        codes: `(n, l)` codes, n >= 1; some may be equal.
        values: `(n,)` values, larger is better.
        inducing: Number m of inducing points; they start at random codes, and are fitted.
        kernel: One length scale (`rbf`), or one for each dimension (`ard`).
        max_steps: Most evaluations of the bound on all values, each of O(n m^2), and as many on the sample.
        rng: Chooses the codes; None takes the first ones.
        progress: Told the evaluations on all values and the bound.
    """
    codes, values = codes.double(), values.double()
    location, scale = standardisation(values)
    centre, spread = codes.mean(0), distance_scale(codes, kernel)
    points, targets = (codes - centre) / spread, (values - location) / scale
    order = torch.arange(len(codes)) if rng is None else torch.randperm(len(codes), generator=rng)
    inducing = min(inducing, len(codes))
    start = np.array([_START[0]] * len(spread) + list(_START[1:]) + points[order[:inducing]].flatten().tolist())
    sample = order[: _SAMPLE * inducing]
    steps = 0
    if 2 * len(sample) <= len(codes):
        first = Bound(points[sample], targets[sample], inducing, len(spread))
        start, _ = maximised(first, start, max_steps, None)
        steps = first.evaluations
    bound = Bound(points, targets, inducing, len(spread))
    found, converged = maximised(bound, start, max_steps, progress)
    with torch.no_grad():
        parameters = bound.unpack(torch.from_numpy(found))
        return SparseGP(
            inducing=centre + spread * parameters.inducing,
            location=location,
            scale=scale,
            lengthscale=spread * parameters.lengthscale,
            outputscale=parameters.outputscale.item(),
            noise_ratio=parameters.noise.item(),
            solution=bound.solve(parameters),
            steps=steps + bound.evaluations,
            converged=converged,
        )
