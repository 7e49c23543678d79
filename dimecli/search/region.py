"""Trust regions: how large they are after what was found, and codes within them."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch

from dimecli.plugin import History, Space
from dimecli.search.sphere import project, tangent

LENGTH, SHORTEST, LONGEST = 0.8, 2.0**-7, 1.6
SUCCESSES = 3  # rounds with an improvement, one after the other, after which the region doubles
_IMPROVED = 1e-3  # share of the best value
_PERTURBED = 20  # dimensions moved at a time, in the mean


@dataclass(frozen=True)
class TrustRegion:
    """The state of a trust region (Eriksson et al., 2019, section 2).

    Args:
        length: Side of the box, as a share of that of the codes; on the sphere the radius of the ball, in
            radians. Both reach equally far: points of a box with this side have the root mean square
            distance length / sqrt 2 from its centre, as a share of that between points of the whole; on the
            sphere the latter is sqrt 2.
        successes: Rounds with an improvement, one after the other.
        failures: Rounds without.
        since: The first round whose evaluations count; those before belong to regions that were given up.
    """

    length: float = LENGTH
    successes: int = 0
    failures: int = 0
    since: int = 0

    def after(self, number: int, improved: bool, tolerance: int) -> TrustRegion:
        """The state after a round: twice as long after `SUCCESSES`, half as long after `tolerance` failures.

        A region that is shorter than `SHORTEST` is given up; the next starts afresh with the next round.
        """
        successes, failures = (self.successes + 1, 0) if improved else (0, self.failures + 1)
        if successes == SUCCESSES:
            return replace(self, length=min(2 * self.length, LONGEST), successes=0, failures=0)
        if failures < tolerance:
            return replace(self, successes=successes, failures=failures)
        if self.length / 2 < SHORTEST:
            return TrustRegion(since=number + 1)
        return replace(self, length=self.length / 2, successes=0, failures=0)


def trust_region(history: History) -> TrustRegion:
    """The state after all rounds of a history, in l dimensions, with a tolerance of max(4, l) evaluations.

    The first evaluations of a region are what later ones improve upon.
    """
    state, dimensions = TrustRegion(), history.codes.shape[1]
    for number in history.rounds.unique().tolist():
        before = history.values[(history.rounds >= state.since) & (history.rounds < number)]
        if not len(before):
            continue
        found, best = history.values[history.rounds == number], before.max().item()
        improved = found.max().item() > best + _IMPROVED * abs(best)
        state = state.after(number, improved, math.ceil(max(4, dimensions) / len(found)))
    return state


def within(
    space: Space, centre: torch.Tensor, length: float, lengthscale: torch.Tensor, n: int, rng: torch.Generator
) -> torch.Tensor:
    """`(n, l)` codes of a trust region that differ from its centre in a random choice of dimensions.

    On the sphere they lie on great circles through the centre, at uniformly random angles up to `length`:
    nearly all of a ball of many dimensions is its rim. In a flat space they are Sobol' points of a box whose
    sides are as the length scales and have the product of those of the box of the training codes, each times
    `length`; what would leave that box is cut off.

    Args:
        space: Where.
        centre: `(l,)` code.
        length: That of the region.
        lengthscale: `(1,)` or `(l,)` length scales; without meaning on the sphere.
        n: How many.
        rng: Source of randomness.
    """
    size = len(centre)
    moved = torch.rand(n, size, generator=rng, dtype=centre.dtype) < min(_PERTURBED / size, 1)
    moved[torch.arange(n), torch.randint(size, (n,), generator=rng)] = True
    if space.latent_space == "sphere":
        direction = torch.randn(n, size, generator=rng, dtype=centre.dtype) * moved
        angle = length * torch.rand(n, 1, generator=rng, dtype=centre.dtype)
        return project(angle.cos() * centre + angle.sin() * project(tangent(centre.expand(n, -1), direction)))
    low, high = space.codes.amin(0), space.codes.amax(0)
    centre = centre.clamp(low, high)
    ratios = (high - low) / lengthscale
    sides = length * lengthscale * ratios[ratios > 0].log().mean().exp()
    lower, upper = torch.maximum(centre - sides / 2, low), torch.minimum(centre + sides / 2, high)
    seed = int(torch.randint(2**31, (), generator=rng))
    sobol = torch.quasirandom.SobolEngine(size, scramble=True, seed=seed).draw(n, dtype=centre.dtype)
    return torch.where(moved, lower + (upper - lower) * sobol, centre)
