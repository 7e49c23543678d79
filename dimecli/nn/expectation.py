"""Mixtures of Gaussians fitted by scikit-learn's estimators."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from dimecli.errors import UserError
from dimecli.lazy import torch

if TYPE_CHECKING:
    from dimecli.distributions import GaussianMixture

_REGULARISATION = 1e-6  # of the codes' mean variance, added to every variance of every component


def fit_mixture(
    estimator: type[Any], codes: torch.Tensor, rng: torch.Generator, components: int, **options: Any
) -> GaussianMixture:
    """The mixture of `(N, l)` codes, computed in float64; its record tells `converged` and `iterations`.

    Args:
        estimator: scikit-learn's `GaussianMixture` or `BayesianGaussianMixture`.
        codes: What to fit.
        rng: Source of the start, on which the fit depends alone.
        components: Number of Gaussians.
        **options: Further arguments of the estimator.

    Raises:
        UserError: there are fewer codes than components.
        DimeError: the codes are not finite, or all the same.
    """
    from sklearn.exceptions import ConvergenceWarning

    from dimecli.distributions import GaussianMixture, check_codes

    if len(codes) < components:
        raise UserError(f"--components {components}: at most the number of codes, {len(codes)}, is allowed")
    check_codes(codes)
    exact = codes.double()
    mixture = estimator(
        n_components=components,
        reg_covar=_REGULARISATION * exact.var(0).mean().item(),
        random_state=int(torch.randint(2**31, (), generator=rng)),
        **options,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        mixture.fit(exact.numpy())
    covariances = torch.from_numpy(mixture.covariances_)  # (K, l, l), or (K, l) if diagonal
    return GaussianMixture.from_covariances(
        torch.from_numpy(mixture.weights_),
        torch.from_numpy(mixture.means_),
        covariances if covariances.dim() == 3 else covariances.diag_embed(),
        like=codes,
        converged=torch.tensor(mixture.converged_),
        iterations=torch.tensor(mixture.n_iter_),
    )
