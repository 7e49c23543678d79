"""Genetic programming on derivations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from dimecli.lazy import np, torch
from dimecli.plugin import Candidates, History, Search, Space

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dimecli.grammar import Grammar


class Evolve(Search):
    """Grammar-guided genetic programming (Whigham, 1995): derivations are mutated and crossed, without any model.

    Parents are chosen by tournament among the best sentences so far, so that nothing good is lost. Equal
    values take turns: a sentence that is the second with its value ranks behind all that are the first with
    theirs, and of equal ones the shortest derivation is first. Without that the population soon is one
    sentence in many spellings.
    """

    population: int = Field(50, ge=2, description="Sentences, the best so far, that parents are chosen from.")
    tournament: int = Field(4, ge=1, description="Sentences drawn for each parent, the best of which it is.")
    mutation: float = Field(
        0.6, ge=0, le=1, description="Probability that a child is a mutant of one parent, not a cross of two."
    )

    def ask(self, n: int, history: History, space: Space, rng: torch.Generator) -> Candidates:
        """Children of the best so far, until n are new; without a parent, draws from the grammar."""
        from dimecli.search.draws import draw_new
        from dimecli.seeds import numpy_generator

        grammar, own = space.grammar, numpy_generator(rng)
        parents = self._parents(grammar, history)

        def draw(count: int) -> Candidates:
            if not len(parents):
                return Candidates(grammar.unparse_all(grammar.sample(count, own, "pcfg")))
            return Candidates(grammar.unparse_all(self._children(grammar, parents, count, own)))

        return draw_new(draw, n, history.seen)

    def _parents(self, grammar: Grammar, history: History) -> NDArray[np.int16]:
        """`(P, T)` derivations, the best first."""
        ids, wrong = grammar.parse_all(history.sentences)
        values = history.values.float().numpy()  # what differs by rounding alone is equal
        order = np.lexsort(((ids != grammar.pad).sum(1), -values))
        order = order[~np.isin(order, list(wrong))]
        first = np.flatnonzero(np.append(True, values[order][1:] != values[order][:-1]))  # of those with equal values
        turn = np.arange(len(order)) - np.repeat(first, np.diff(first, append=len(order)))
        return ids[order[np.argsort(turn, kind="stable")][: self.population]]

    def _children(
        self, grammar: Grammar, parents: NDArray[np.int16], count: int, rng: np.random.Generator
    ) -> NDArray[np.int16]:
        """`(count, T)` derivations."""
        from dimecli.grammar.variation import crossover, mutate

        first, second = parents[rng.integers(len(parents), size=(2, count, self.tournament)).min(2)]
        mutant = rng.random(count) < self.mutation
        return np.where(mutant[:, None], mutate(grammar, first, rng), crossover(grammar, first, second, rng)[0])
