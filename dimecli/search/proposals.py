"""What a search proposes in a round, down to the sentences that are evaluated."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch

from dimecli.errors import DimeError
from dimecli.plugin import Candidates, History, Search, Space
from dimecli.seeds import generator

_ATTEMPTS = 4  # times that a round asks; a search that is out of new sentences then has a short round


@dataclass(frozen=True)
class Candidate:
    """A sentence to evaluate, with the code that was proposed, and the value that the search expects."""

    sentence: str
    code: torch.Tensor | None  # (l,)
    mean: float | None = None
    std: float | None = None


@dataclass(frozen=True)
class Batch:
    """The candidates of a round, how many proposals they were taken from, and how many of those had no sentence."""

    candidates: Sequence[Candidate] = ()
    proposals: int = 0
    incomplete: int = 0


def propose(strategy: Search, history: History, space: Space, n: int, seed: int, number: int) -> Batch:
    """The first n new sentences that a search proposes for a round; what is missing is asked for again.

    Args:
        strategy: The search.
        history: What it is told.
        space: Where it searches.
        n: How many; there are fewer if the search knows no others.
        seed: That of all rounds.
        number: That of the round.

    Raises:
        DimeError: a code is not finite, or a sentence has no code, mean or standard deviation where others do.
    """
    accepted: dict[str, Candidate] = {}
    proposals = incomplete = 0
    for attempt in range(_ATTEMPTS):
        rng = generator(seed, f"round {number}" + f", attempt {attempt}" * (attempt > 0))
        known = replace(history, seen=history.seen | accepted.keys())
        for candidate in _read(strategy.ask(n - len(accepted), known, space, rng), strategy):
            if len(accepted) == n:
                break
            proposals += 1
            incomplete += candidate is None
            if candidate and candidate.sentence not in history.seen:
                accepted.setdefault(candidate.sentence, candidate)
        if len(accepted) == n:
            break
    return Batch(_encoded(list(accepted.values()), space), proposals, incomplete)


def _read(asked: Candidates, strategy: Search) -> Iterator[Candidate | None]:
    """The candidates as they were proposed; None for those without a sentence."""
    m = len(asked.sentences)
    name = type(strategy).__name__
    if any(given is not None and len(given) != m for given in (asked.codes, asked.mean, asked.std)):
        raise DimeError(f"the search {name} gives codes, means or standard deviations that are not one per sentence")
    if asked.codes is not None and not asked.codes.isfinite().all():
        raise DimeError(f"the search {name} proposes codes that are not finite")
    codes = [None] * m if asked.codes is None else asked.codes.detach().cpu().double()
    means, stds = (_numbers(expected, m) for expected in (asked.mean, asked.std))
    for sentence, code, mean, std in zip(asked.sentences, codes, means, stds, strict=True):
        yield None if sentence is None else Candidate(sentence, code, mean, std)


def _numbers(expected: torch.Tensor | None, m: int) -> list[float | None]:
    """Finite numbers, None for others."""
    numbers = [math.nan] * m if expected is None else expected.tolist()
    return [number if math.isfinite(number) else None for number in numbers]


def _encoded(candidates: Sequence[Candidate], space: Space) -> list[Candidate]:
    """The candidates, with the encoder's codes where they have none."""
    bare = [candidate.sentence for candidate in candidates if candidate.code is None]
    codes = dict(zip(bare, space.encode(bare), strict=True)) if bare else {}
    return [replace(candidate, code=codes.get(candidate.sentence, candidate.code)) for candidate in candidates]
