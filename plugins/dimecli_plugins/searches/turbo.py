"""Bayesian optimization in a trust region."""

from __future__ import annotations

from pydantic import Field

from dimecli.lazy import torch
from dimecli.plugin import Candidates, History, Search, Space


class TuRBO(Search):
    """Thompson sampling in a trust region around the best code (TuRBO-1; Eriksson et al., 2019).

    The region doubles after three rounds that improve, and halves after one that does not, or after more
    where the batch is smaller than the number of dimensions. One that has become too small is given up for
    another, which starts from draws of the density. Where it holds fewer new sentences than wanted, because
    many codes near each other decode to the same, those of twice its length are taken too. On the sphere it is
    a geodesic ball, with a radius of 0.8 radians at first; in a flat space a box with sides as the length scales.
    """

    pool: int = Field(2_000, ge=1, le=5_000, description="Codes decoded in a round, for their sentences to draw at.")

    def ask(self, n: int, history: History, space: Space, rng: torch.Generator) -> Candidates:
        """The best of n draws; draws of the density where a region starts, or has nothing new."""
        from dimecli.search.bayesian import raised_to_median
        from dimecli.search.candidates import decoded, recentred
        from dimecli.search.draws import draw_new
        from dimecli.search.gp import fit_gp
        from dimecli.search.region import LONGEST, trust_region, within
        from dimecli.search.thompson import propose

        def draw(count: int) -> Candidates:
            codes = space.sample(count, rng)
            return Candidates(space.decode(codes), codes)

        region = trust_region(history)
        own = history.rounds >= region.since
        if not own.any():
            return draw_new(draw, n, history.seen)
        values, codes = history.values[own], recentred(space, history).codes[own]
        gp = fit_gp(codes, raised_to_median(values), "rbf" if space.latent_space == "sphere" else "ard")
        centre, size, length = codes[values.argmax()], max(self.pool, n), region.length
        found = decoded(space, within(space, centre, length, gp.lengthscale, size, rng), history.seen)
        while len(found.sentences) < n and length < LONGEST:
            length = min(2 * length, LONGEST)
            near = within(space, centre, length, gp.lengthscale, size, rng)
            found += decoded(space, near, history.seen | set(found.sentences))
        return propose(gp, found, n, rng) if found.sentences else draw_new(draw, n, history.seen)
