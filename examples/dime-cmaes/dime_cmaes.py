"""An optimiser of another package as a search: CMA-ES over codes, by the package `cmaes`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from dimecli.lazy import np, torch
from dimecli.plugin import Candidates, History, Search, Space

if TYPE_CHECKING:
    from cmaes import CMA


class CMAES(Search):
    """Covariance matrix adaptation over codes (CMA-ES; Hansen and Ostermeier, 2001).

    Codes are drawn from a Gaussian that moves towards the better half of each generation and takes its
    shape. It starts around the best sentences that the search starts from. Dimensions are scaled by the
    standard deviations of the codes of training; draws stay on the sphere, or in the box of those codes.
    """

    population: int | None = Field(
        None, ge=4, description="Evaluations in a generation; default: 4 + 3 log l, l the dimension of the codes."
    )
    sigma: float = Field(
        1.0, gt=0, le=10, description="Standard deviation at first, in units of that of the codes of training."
    )
    best: int = Field(3, ge=1, description="Sentences, the best of the start, around whose mean it begins.")

    def ask(self, n: int, history: History, space: Space, rng: torch.Generator) -> Candidates:
        """Draws from the Gaussian, until n sentences are new."""
        from dimecli.search.draws import draw_new
        from dimecli.search.sphere import region

        mean, std = space.codes.mean(0), space.codes.std(0, correction=0).clamp(min=1e-6)
        optimiser = self._replayed(history, (history.codes - mean) / std, rng)

        def draw(count: int) -> Candidates:
            drawn = torch.from_numpy(np.stack([optimiser.ask() for _ in range(count)]))  # (count, l)
            codes = region(space).move(mean + std * drawn, torch.zeros_like(drawn))
            return Candidates(space.decode(codes), codes)

        return draw_new(draw, n, history.seen)

    def _replayed(self, history: History, codes: torch.Tensor, rng: torch.Generator) -> CMA:
        """An optimiser that was told all full generations of the history.

        A search keeps nothing between two calls, so that one that was killed goes on as if it had not been.

        Args:
            history: What was evaluated.
            codes: `(n, l)`: its codes, scaled.
            rng: Seeds the draws to come.
        """
        from cmaes import CMA

        start = history.rounds == 0
        first = codes[start][history.values[start].argsort(descending=True)[: self.best]]
        centre = first.mean(0) if len(first) else codes.new_zeros(codes.shape[1])
        seed = int(torch.randint(2**32, (), generator=rng))
        optimiser = CMA(centre.numpy(), self.sigma, seed=seed, population_size=self.population)
        losses = -history.values[~start]  # it minimises
        told = list(zip(codes[~start].numpy(), losses.tolist(), strict=True))
        for end in range(optimiser.population_size, len(told) + 1, optimiser.population_size):
            optimiser.tell(told[end - optimiser.population_size : end])
        return optimiser
