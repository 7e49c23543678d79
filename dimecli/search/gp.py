"""The exact Gaussian process: hyperparameters by the closed form of the marginal likelihood and of its gradient.

BoTorch's default takes twenty times as long (benchmarks/search.py): it differentiates through a graph,
where kernels of so few hyperparameters need one factorisation and some sums.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch

from dimecli.search.kernels import Kernel, correlation, distance_scale, standardisation

# Log-normal priors (location, scale) in the scale of standardised values. BoTorch's for length scales,
# sqrt(2) + log(d) / 2 in the unit cube, where the root mean square of distances is sqrt(d / 6), is here for
# codes whose distances have root mean square 1, as those on the sphere have up to sqrt(2) in every dimension.
_LENGTH = (math.sqrt(2) + math.log(6) / 2, math.sqrt(3))
_OUTPUT = (0.0, 1.0)
_NOISE = (-4.0, 1.0)
_STARTS = ((0.3, 1.0, 0.02), (1.0, 1.0, 0.14))  # rough without noise, and smooth with: both can be optima
_STEPS = 60  # of L-BFGS from each start
MOST = 2_000
"""Values that an exact process is given; its cost grows with their cube."""


@dataclass(frozen=True, eq=False)
class ExactPosterior:
    """The joint posterior of an `ExactGP` at m points; a `Joint`."""

    mean: torch.Tensor  # (m,)
    variance: torch.Tensor  # (m,)
    gp: ExactGP
    points: torch.Tensor  # (m, l), in the length scales
    whitened: torch.Tensor  # (n, m): L^-1 K(codes, points)

    def column(self, j: int) -> torch.Tensor:
        """`(m,)` posterior covariances with point j, in the scale of the values squared."""
        prior = self.gp.outputscale * correlation(self.points, self.points[j : j + 1])[:, 0]
        return self.gp.scale**2 * (prior - self.whitened.T @ self.whitened[:, j])


@dataclass(frozen=True, eq=False)
class ExactGP:
    """A Gaussian process conditioned on n codes; a `Surrogate`.

    The kernel is `outputscale * exp(-|(z - z') / lengthscale|^2 / 2)`, which for one length scale and unit
    codes is the von Mises-Fisher kernel `outputscale * exp(k (z . z' - 1))`, k = 1 / lengthscale^2. All but
    `codes`, `lengthscale` and `steps` is in the scale of standardised values, `(value - location) / scale`.
    """

    codes: torch.Tensor  # (n, l)
    targets: torch.Tensor  # (n,) standardised
    location: float
    scale: float
    lengthscale: torch.Tensor  # (1,), or (l,) with relevance determination
    outputscale: float
    noise_ratio: float

    @property
    def noise(self) -> float:
        """Variance of the noise, in the scale of the values squared."""
        return self.noise_ratio * self.scale**2

    @cached_property
    def _factor(self) -> torch.Tensor:
        """`(n, n)` lower triangular L of the covariance of the noisy targets, L L^T."""
        points = self.codes / self.lengthscale
        covariance = self.outputscale * correlation(points, points)
        covariance.diagonal().add_(self.noise_ratio)
        factor: torch.Tensor = torch.linalg.cholesky(covariance)
        return factor

    @cached_property
    def _weights(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The constant mean, by generalised least squares, and `(n,)` covariance^-1 (targets - mean)."""
        solved = torch.cholesky_solve(torch.stack([self.targets, torch.ones_like(self.targets)], 1), self._factor)
        mean = solved[:, 0].sum() / solved[:, 1].sum()
        return mean, solved[:, 0] - mean * solved[:, 1]

    def predict(self, z: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and standard deviation of the latent function at `(m, l)` codes, both `(m,)`, differentiable."""
        mean, variance, _ = self._predict(z / self.lengthscale)
        return mean, variance.sqrt()

    @torch.no_grad()
    def posterior(self, z: torch.Tensor) -> ExactPosterior:
        """The joint posterior at `(m, l)` codes."""
        points = z / self.lengthscale
        mean, variance, whitened = self._predict(points)
        return ExactPosterior(mean, variance, self, points, whitened)

    def _predict(self, points: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        constant, weights = self._weights
        cross = self.outputscale * correlation(self.codes / self.lengthscale, points)  # (n, m)
        whitened = torch.linalg.solve_triangular(self._factor, cross, upper=False)
        mean = self.location + self.scale * (constant + weights @ cross)
        share = (self.outputscale - whitened.square().sum(0)).clamp(min=1e-12 * self.outputscale)
        return mean, self.scale**2 * share, whitened


def fit_gp(codes: torch.Tensor, values: torch.Tensor, kernel: Kernel = "rbf") -> ExactGP:
    """The Gaussian process whose hyperparameters have the largest posterior density found, by L-BFGS.

    Args:
        codes: `(n, l)` codes, n >= 1; some may be equal.
        values: `(n,)` values, larger is better; of more than 2,000 the best are taken.
        kernel: One length scale (`rbf`), or one for each dimension (`ard`).
    """
    known = values.argsort(descending=True, stable=True)[:MOST] if len(values) > MOST else slice(None)
    codes, values = codes[known].double(), values[known].double()
    location, scale = standardisation(values)
    targets = (values - location) / scale
    width = distance_scale(codes, kernel)
    points = (codes - codes.mean(0)) / width
    model = max((_maximised(points, targets, len(width), start) for start in _STARTS), key=lambda found: found[0])[1]
    return ExactGP(
        codes,
        targets,
        location,
        scale,
        lengthscale=width * model.covar_module.base_kernel.lengthscale.detach()[0],
        outputscale=model.covar_module.outputscale.item(),
        noise_ratio=model.likelihood.noise.item(),
    )


def _maximised(
    points: torch.Tensor, targets: torch.Tensor, lengths: int, start: tuple[float, float, float]
) -> tuple[float, Any]:
    """The log posterior density of the hyperparameters per point at the optimum near a start, and the model there."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # gpytorch compiles with torch.jit.script
        import gpytorch
        from botorch.fit import fit_gpytorch_mll
        from botorch.models import SingleTaskGP
        from botorch.settings import validate_input_scaling
        from gpytorch.constraints import Interval
        from gpytorch.priors import LogNormalPrior

    base = gpytorch.kernels.RBFKernel(
        ard_num_dims=lengths,
        lengthscale_prior=LogNormalPrior(*_LENGTH),
        lengthscale_constraint=Interval(1e-2, 1e3),
    )
    covariance = gpytorch.kernels.ScaleKernel(
        base, outputscale_prior=LogNormalPrior(*_OUTPUT), outputscale_constraint=Interval(1e-2, 1e2)
    )
    likelihood = gpytorch.likelihoods.GaussianLikelihood(
        noise_prior=LogNormalPrior(*_NOISE), noise_constraint=Interval(1e-4, 10.0)
    )
    with validate_input_scaling(False), gpytorch.settings.fast_computations(False, False, False):
        model = SingleTaskGP(
            points, targets[:, None], likelihood=likelihood, covar_module=covariance, outcome_transform=None
        )
        base.lengthscale, covariance.outputscale, likelihood.noise = start
        mll = gpytorch.mlls.ExactMarginalLogLikelihood(likelihood, model)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # L-BFGS stops after its steps, as it was told
            fit_gpytorch_mll(mll, optimizer_kwargs={"options": {"maxiter": _STEPS}}, max_attempts=1)
        with torch.no_grad():
            return mll(mll.model.train()(*model.train_inputs), model.train_targets).item(), model
