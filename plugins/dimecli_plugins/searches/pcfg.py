"""Sentences at random, without a model."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from dimecli.lazy import torch
from dimecli.plugin import Candidates, History, Search, Space


class PCFG(Search):
    """Draws sentences from the grammar itself, without any model, and learns nothing: a baseline."""

    learns = False

    by: Literal["pcfg", "uniform", "length"] = Field(
        "pcfg",
        description="Law of the derivations: by the productions' weights (pcfg), all alike (uniform), or all lengths "
        "alike (length).",
    )

    def ask(self, n: int, history: History, space: Space, rng: torch.Generator) -> Candidates:
        """Draws until n sentences are new."""
        from dimecli.search.draws import draw_new
        from dimecli.seeds import numpy_generator

        grammar, own = space.grammar, numpy_generator(rng)
        return draw_new(
            lambda count: Candidates(grammar.unparse_all(grammar.sample(count, own, self.by))), n, history.seen
        )
