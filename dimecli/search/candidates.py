"""Codes that are worth a look, with the new sentences that they decode to."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

import torch

from dimecli.plugin import History, Space
from dimecli.search.sphere import region

_BEST = 25  # evaluated sentences around which is searched
_NEAR, _FAR = 0.1, 1.0  # radians: almost all decode to what they come from, and almost none near it
_NEAR_BEST = 0.8  # share of the pool; the rest is from the density


@dataclass(frozen=True, eq=False)
class Pool:
    """New sentences, all different.

    Args:
        sentences: m of them.
        codes: `(m, l)` codes that decode to them.
        points: `(m, l)` codes at which a model predicts them.
    """

    sentences: list[str]
    codes: torch.Tensor
    points: torch.Tensor

    def take(self, rows: torch.Tensor) -> Pool:
        """Those at the `(k,)` indices."""
        return Pool([self.sentences[row] for row in rows.tolist()], self.codes[rows], self.points[rows])

    def __add__(self, other: Pool) -> Pool:
        """Both; they must have no sentence in common."""
        codes, points = torch.cat([self.codes, other.codes]), torch.cat([self.points, other.points])
        return Pool(self.sentences + other.sentences, codes, points)


def recentred(space: Space, history: History) -> History:
    """The history with the encoder's code of each sentence in place of that which was proposed.

    Codes far apart may decode to one sentence; this is the one from which the model can tell it from others.
    """
    return replace(history, codes=space.encode(history.sentences))


def decoded(space: Space, codes: torch.Tensor, seen: Collection[str], reencode: bool = True) -> Pool:
    """The first code of each sentence that is not among those seen.

    Args:
        space: Decodes.
        codes: `(n, l)` codes.
        seen: Sentences to leave out.
        reencode: Take for the points the encoder's codes of the sentences, not the codes themselves.
    """
    rows: dict[str, int] = {}
    for row, sentence in enumerate(space.decode(codes)):
        if sentence is not None and sentence not in seen:
            rows.setdefault(sentence, row)
    sentences = list(rows)
    codes = codes[list(rows.values())]
    return Pool(sentences, codes, space.encode(sentences) if reencode and sentences else codes)


def pool(space: Space, history: History, size: int, rng: torch.Generator, reencode: bool = True) -> Pool:
    """The new sentences of `size` codes: some near the best codes, some between two of them, some from the density.

    Args:
        space: Where to look.
        history: What was evaluated; without anything, all codes are from the density.
        size: Codes to decode.
        rng: Source of randomness.
        reencode: As for `decoded`.
    """
    best = history.codes[history.values.argsort(descending=True, stable=True)[:_BEST]]
    near = int(_NEAR_BEST * size) if len(best) else 0
    codes = torch.cat([around(space, best, near, rng), space.sample(size - near, rng)])
    return decoded(space, codes, history.seen, reencode)


def around(space: Space, best: torch.Tensor, n: int, rng: torch.Generator) -> torch.Tensor:
    """`(n, l)` codes: three in four moved away from good ones in random directions, the others between two of them."""

    def draw(n: int) -> torch.Tensor:
        return best[torch.randint(len(best), (n,), generator=rng)]

    def uniform(n: int) -> torch.Tensor:
        return torch.rand(n, 1, generator=rng, dtype=best.dtype)

    if not n:
        return best[:0]
    moved, inside = n * 3 // 4, region(space)
    jittered = inside.jitter(draw(moved), _NEAR + (_FAR - _NEAR) * uniform(moved), rng)
    return torch.cat([jittered, inside.between(draw(n - moved), draw(n - moved), uniform(n - moved))])
