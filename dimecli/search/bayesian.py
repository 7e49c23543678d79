"""A batch by Bayesian optimization, whatever the Gaussian process."""

from __future__ import annotations

from collections.abc import Callable

import torch

from dimecli.plugin import Candidates, History, Space
from dimecli.search.believer import choose, log_ei
from dimecli.search.candidates import Pool, around, decoded, pool, recentred
from dimecli.search.sphere import refine
from dimecli.search.surrogate import Surrogate

_GENERATIONS, _PARENTS = 3, 50  # last batches of expressions then score 1.0 on average, without generations 1.4


def propose(
    fit: Callable[[torch.Tensor, torch.Tensor], Surrogate],
    n: int,
    history: History,
    space: Space,
    rng: torch.Generator,
    size: int,
    steps: int,
    reencode: bool,
) -> Candidates:
    """What the kriging believer chooses of a pool, or all of it where nothing was evaluated yet.

    The pool grows for some generations by what is around its best, and then by what gradient ascent from
    the best n leads to, within the region.

    Args:
        fit: Gives the surrogate of `(N, l)` codes and `(N,)` values.
        n: Candidates to choose.
        history: What was evaluated.
        space: Where to search.
        rng: Source of randomness.
        size: Codes that are decoded at first, and for each generation.
        steps: Of gradient ascent; none if 0.
        reencode: Whether a sentence is at the encoder's code of it, or at the code that it was decoded from.
    """
    history = recentred(space, history) if reencode and len(history.values) else history
    found = pool(space, history, size, rng, reencode)
    if not len(history.values) or not found.sentences:
        return Candidates(found.sentences, found.codes)
    values = _without_outliers(history.values)
    gp, best = fit(history.codes, values), values.max().item()

    def acquisition(z: torch.Tensor) -> torch.Tensor:
        return log_ei(*gp.predict(z), best)

    def best_of(pool: Pool, k: int) -> torch.Tensor:
        with torch.no_grad():
            return pool.points[acquisition(pool.points).topk(min(k, len(pool.points))).indices]

    def grown(pool: Pool, codes: torch.Tensor) -> Pool:
        return pool + decoded(space, codes, history.seen | set(pool.sentences), reencode)

    for _ in range(_GENERATIONS):
        found = grown(found, around(space, best_of(found, _PARENTS), size, rng))
    if steps:
        found = grown(found, refine(acquisition, best_of(found, n), space, steps))
    joint = gp.posterior(found.points)
    chosen = choose(joint, gp.noise, best, n)
    sentences = [found.sentences[index] for index in chosen.tolist()]
    return Candidates(sentences, found.codes[chosen], joint.mean[chosen], joint.variance[chosen].sqrt())


def _without_outliers(values: torch.Tensor) -> torch.Tensor:
    """Values raised to as far below the median as the best is above it: how bad the bad are tells little."""
    median, best = values.median(), values.max()
    return values.clamp(min=2 * median - best) if best > median else values
