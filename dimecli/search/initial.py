"""The training sentences that a search starts from."""

from __future__ import annotations

import torch

from dimecli.errors import UserError
from dimecli.plugin import Problem
from dimecli.search.settings import InitialFrom, SearchSettings


def initial_from(problem: Problem, settings: SearchSettings) -> InitialFrom:
    """How the initial sentences are chosen.

    Raises:
        UserError: by their values, which takes an evaluation of all training sentences, though that is not cheap.
    """
    chosen = settings.initial_from or ("half" if problem.cheap else "random")
    if chosen != "random" and not problem.cheap:
        raise UserError(
            f"--initial-from {chosen}: it evaluates every training sentence, and this problem is not cheap; "
            "allowed: random"
        )
    return chosen


def pool_size(count: int, chosen: InitialFrom) -> int:
    """How many of so many training sentences there are to choose from."""
    return count - count // 2 if chosen == "half" else count


def choose(utilities: torch.Tensor, n: int, chosen: InitialFrom, rng: torch.Generator) -> list[int]:
    """Rows of the n sentences to start from, or of fewer where there are not so many.

    `half` leaves out the better half, so that what a search finds was not there before; it takes a fifth
    of n from the top of the other half and the rest at random from what remains of it: the protocol of
    weighted retraining (Tripp, Daxberger and Hernández-Lobato, 2020).

    Args:
        utilities: `(N,)` values, larger is better, -inf where invalid; for `random` any.
        n: How many.
        chosen: How.
        rng: Source of randomness.
    """
    if chosen == "random":
        return torch.randperm(len(utilities), generator=rng)[:n].tolist()
    order = utilities.argsort(descending=True, stable=True)
    if chosen == "best":
        return order[:n].tolist()
    if chosen == "worst":
        return order.flip(0)[:n].tolist()
    worse = order[len(order) // 2 :]
    top, rest = worse[: n // 5], worse[n // 5 :]
    others = rest[torch.randperm(len(rest), generator=rng)[: n - len(top)]]
    return torch.cat([top, others]).tolist()
