"""What densities, and the distributions that they fit, promise to do."""

from __future__ import annotations

from dimecli.lazy import F, torch
from dimecli.plugin import Context, Density, Fitted
from dimecli.testing.expect import check_tensor, expect, only_own_randomness, seeded

CODES = 4
"""Dimension of the codes in all checks."""


class _Prior:
    """N(0, I), or the uniform distribution on the sphere up to a constant, for densities that want a prior."""

    def __init__(self, space: str) -> None:
        self._sphere = space == "sphere"

    def sample(self, n: int, rng: torch.Generator) -> torch.Tensor:
        z = torch.randn(n, CODES, generator=rng)
        return F.normalize(z, dim=1) if self._sphere else z

    def log_prob(self, z: torch.Tensor) -> torch.Tensor:
        return -0.5 * z.square().sum(1)

    def state(self) -> dict[str, torch.Tensor]:
        return {}


def check_density(density: Density, space: str, where: str) -> None:
    """Fits, samples, and restores what was fitted, on a `euclidean` or `sphere` latent space."""
    codes, prior = torch.randn(200, CODES), _Prior(space)
    codes = F.normalize(codes, dim=1) if space == "sphere" else codes
    std = torch.full_like(codes, 0.1) if space == "euclidean" else None
    with only_own_randomness(f"{where}: fit"):
        fitted = density.fit(codes, seeded(), Context(prior, std))
    drawn = check_fitted(fitted, where)
    restored = density.restore(fitted.state(), Context(prior))
    same = torch.equal(restored.sample(50, seeded()), drawn)
    same &= torch.equal(restored.log_prob(drawn), fitted.log_prob(drawn))
    expect(same, f"{where}: what restore gives is not what fit gave", "put all that is learned into state()")


def check_fitted(fitted: Fitted, where: str) -> torch.Tensor:
    """Checks a distribution over codes; returns 50 draws."""
    with only_own_randomness(f"{where}: sample"):
        drawn = fitted.sample(50, seeded())
    check_tensor(drawn, (50, CODES), f"{where}: sample(50, rng)")
    expect(
        torch.equal(drawn, fitted.sample(50, seeded())), f"{where}: a seed gives two samples", "draw from `rng` only"
    )
    check_tensor(fitted.log_prob(drawn), (50,), f"{where}: log_prob(z)")
    return drawn
