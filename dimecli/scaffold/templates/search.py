"""Hill climbing."""

from __future__ import annotations

from pydantic import Field

from dimecli.lazy import F, torch
from dimecli.plugin import Candidates, History, Search, Space


class Example(Search):
    """Hill climbing: small random steps from the codes of the best sentences so far.

    `z' = z + step s e` with `e ~ N(0, I)`, z one of the best codes and s the deviations of those of training.
    """

    step: float = Field(0.7, gt=0, description="Size of a step, in standard deviations of the training codes.")
    parents: int = Field(3, ge=1, description="Sentences, the best so far, that steps start from.")

    def ask(self, n: int, history: History, space: Space, rng: torch.Generator) -> Candidates:
        """Steps until n sentences are new; without a history, codes of the density."""
        from dimecli.search.draws import draw_new

        best = history.codes[history.values.argsort(descending=True, stable=True)[: self.parents]]  # (k, l)
        size = self.step * space.codes.std(0)  # (l,)

        def draw(count: int) -> Candidates:
            if len(best):
                z = best[torch.randint(len(best), (count,), generator=rng)]
                z = z + size * torch.randn(z.shape, generator=rng, dtype=z.dtype)
            else:
                z = space.sample(count, rng)
            codes = F.normalize(z, dim=1) if space.latent_space == "sphere" else z
            return Candidates(space.decode(codes), codes)

        return draw_new(draw, n, history.seen)
