"""Codes at random."""

from __future__ import annotations

from dimecli.lazy import torch
from dimecli.plugin import Candidates, History, Search, Space


class Random(Search):
    """Draws codes from the density that was fitted to those of training, and learns nothing: a baseline."""

    learns = False

    def ask(self, n: int, history: History, space: Space, rng: torch.Generator) -> Candidates:
        """Draws until n sentences are new."""
        from dimecli.search.draws import draw_new

        def draw(count: int) -> Candidates:
            codes = space.sample(count, rng)
            return Candidates(space.decode(codes), codes)

        return draw_new(draw, n, history.seen)
