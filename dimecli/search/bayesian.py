"""A batch by Bayesian optimization, whatever the Gaussian process."""

from __future__ import annotations

from collections.abc import Callable

import torch

from dimecli.plugin import Candidates, History, Space
from dimecli.search.believer import choose, log_ei
from dimecli.search.candidates import Pool, decoded, pool, recentred
from dimecli.search.sphere import refine
from dimecli.search.surrogate import Surrogate

_DRAWS = 4  # from the density for each candidate that is to be one: many are known, or alike


def propose(
    fit: Callable[[torch.Tensor, torch.Tensor], Surrogate],
    n: int,
    history: History,
    space: Space,
    rng: torch.Generator,
    *,
    size: int,
    steps: int,
    reencode: bool,
    explore: float,
) -> Candidates:
    """What the kriging believer chooses of a pool, and a share that the model has no say in.

    The pool grows by what gradient ascent from its best n leads to, within the region. Where nothing was
    evaluated yet, all of it is proposed.

    Args:
        fit: Gives the surrogate of `(N, l)` codes and `(N,)` values.
        n: Candidates to choose.
        history: What was evaluated.
        space: Where to search.
        rng: Source of randomness.
        size: Codes to decode for the pool.
        steps: Of gradient ascent; none if 0.
        reencode: Whether a sentence is at the encoder's code of it, or at the code that it was decoded from.
        explore: Share of the n that is drawn from the density.
    """
    history = recentred(space, history) if reencode and len(history.values) else history
    found = pool(space, history, size, rng, reencode)
    if not len(history.values) or not found.sentences:
        return Candidates(found.sentences, found.codes)
    gp, best = fit(history.codes, raised_to_median(history.values)), history.values.max().item()

    def acquisition(z: torch.Tensor) -> torch.Tensor:
        return log_ei(*gp.predict(z), best)

    if steps:
        with torch.no_grad():
            start = found.points[acquisition(found.points).topk(min(n, len(found.points))).indices]
        climbed = refine(acquisition, start, space, steps)
        found += decoded(space, climbed, history.seen | set(found.sentences), reencode)
    random = round(explore * n)
    chosen = found.take(choose(gp.posterior(found.points), gp.noise, best, n - random))
    if random:
        drawn = decoded(space, space.sample(_DRAWS * random, rng), history.seen | set(chosen.sentences), reencode)
        chosen += drawn.take(torch.arange(min(random, len(drawn.sentences))))
    return expected(gp, chosen)


def expected(gp: Surrogate, chosen: Pool) -> Candidates:
    """Candidates with the mean and the standard deviation of the value that would be observed."""
    joint = gp.posterior(chosen.points)
    return Candidates(chosen.sentences, chosen.codes, joint.mean, (joint.variance + gp.noise).sqrt())


def raised_to_median(values: torch.Tensor) -> torch.Tensor:
    """`(n,)` values, those of the worse half at the median: how bad they are tells little of where the best are."""
    median = values.median()
    return values.clamp(min=median) if median < values.max() else values
