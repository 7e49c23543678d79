"""The host of a search: it asks for candidates, has them evaluated, and keeps to the budget."""

from __future__ import annotations

import math
from collections.abc import Iterator, MutableMapping, Sequence

import torch

from dimecli.errors import UserError
from dimecli.plugin import History, Outcome, Problem, Search
from dimecli.search.initial import choose, initial_from, pool_size
from dimecli.search.log import Log
from dimecli.search.oracle import Oracle
from dimecli.search.proposals import Batch, Candidate, propose
from dimecli.search.result import Evaluation, Result, sign, worst_value
from dimecli.search.settings import SearchSettings
from dimecli.search.space import TrainedSpace
from dimecli.seeds import generator


class Observer:
    """Told how a search goes. This one tells nobody."""

    def begins(self, number: int, evaluations: int, wanted: int) -> None:
        """A round has so many sentences to evaluate, fewer than wanted if there are no more; 0 is the start."""

    def evaluated(self, evaluation: Evaluation) -> None:
        """A result is there; results arrive in any order."""

    def ends(self, number: int, result: Result) -> None:
        """A round is over; `result` is the search so far."""


def search(
    space: TrainedSpace,
    oracle: Oracle,
    problem: Problem,
    strategy: Search,
    settings: SearchSettings,
    log: Log | None = None,
    observer: Observer | None = None,
    cache: MutableMapping[str, Outcome] | None = None,
) -> Result:
    """Search, or go on with the search in a log: what is there is not evaluated again.

    The budget is `rounds * batch` different sentences. Candidates depend on the options and on the values
    found in earlier rounds, not on the order in which results arrive.

    Args:
        space: Where to search.
        oracle: Evaluates; started.
        problem: What the oracle evaluates.
        strategy: Proposes.
        settings: How.
        log: Where evaluations are written as they arrive; None keeps no log.
        observer: Told how it goes.
        cache: Outcomes by sentence, added to here: searches that share one repeat no call of each other's,
            and still count their own budget as if they had made it.

    Raises:
        UserError: the problem, the search and the space do not suit each other, or as `initial_from`.
        DimeError: the log cannot be written, or the search proposes what is no code.
    """
    problem.check(space.language)
    if space.latent_space not in strategy.latent_spaces:
        wanted = ", ".join(sorted(strategy.latent_spaces))
        name = type(strategy).__name__
        raise UserError(f"--search: {name} is for a latent space that is {wanted}; this run's is {space.latent_space}")
    host = _Host(
        space, oracle, problem, strategy, settings, log, observer or Observer(), {} if cache is None else cache
    )
    host.start()
    for number in range(1, settings.rounds + 1):
        if not host.round(number):
            break
    return host.result()


class _Host:
    """A search while it goes on."""

    def __init__(
        self,
        space: TrainedSpace,
        oracle: Oracle,
        problem: Problem,
        strategy: Search,
        settings: SearchSettings,
        log: Log | None,
        observer: Observer,
        cache: MutableMapping[str, Outcome],
    ) -> None:
        self.space, self.oracle, self.problem = space, oracle, problem
        self.strategy, self.settings = strategy, settings
        self.log, self.observer, self.cache = log, observer, cache
        self.initial_from = initial_from(problem, settings)
        self.training = frozenset(space.sentences)
        self.done: list[Evaluation] = []  # of whole rounds, in the order of proposal
        self.proposals = self.incomplete = 0
        if log:
            self.cache.update(log.survey)
            self.cache.update({known.sentence: Outcome(known.value, known.reason) for known in log})

    def result(self) -> Result:
        """The search so far."""
        initial = [evaluation for evaluation in self.done if evaluation.round == 0]
        surveyed = len(self.training) if initial and self.initial_from != "random" else 0
        found = self.done[len(initial) :]
        return Result(self.problem, initial, found, surveyed, self.training, self.proposals, self.incomplete)

    def start(self) -> None:
        """Evaluate what the search starts from."""
        wanted = min(self.settings.initial, pool_size(len(self.training), self.initial_from))
        self._evaluate(0, Batch() if self._has(0, wanted) else self._initial(wanted), wanted)

    def round(self, number: int) -> bool:
        """One round; False if the search had nothing new to propose."""
        before, wanted = len(self.done), self.settings.batch
        if self._has(number, wanted):
            batch = Batch()
        else:
            batch = propose(self.strategy, self._history(), self.space, wanted, self.settings.seed, number)
        self._evaluate(number, batch, wanted)
        return len(self.done) > before

    def _has(self, number: int, wanted: int) -> bool:
        """Whether all of a round is known already."""
        return not wanted or (
            self.log is not None and (len(self.log.of_round(number)) >= wanted or self.log.last_round > number)
        )

    def _initial(self, wanted: int) -> Batch:
        rows: dict[str, int] = {}
        for row, sentence in enumerate(self.space.sentences):
            rows.setdefault(sentence, row)
        sentences = list(rows)
        utilities = torch.full((len(sentences),), -math.inf, dtype=torch.float64)
        if self.initial_from != "random":
            known = self.cache.keys() >= set(sentences)
            for index, outcome, _ in self._outcomes(sentences):
                if outcome.value is not None:
                    utilities[index] = sign(self.problem) * outcome.value
            if self.log and not known:
                self.log.write_survey({sentence: self.cache[sentence] for sentence in sentences})
        chosen = choose(utilities, wanted, self.initial_from, generator(self.settings.seed, "initial"))
        first = [sentences[index] for index in chosen]
        return Batch([Candidate(sentence, self.space.codes[rows[sentence]]) for sentence in first])

    def _evaluate(self, number: int, batch: Batch, wanted: int) -> None:
        """Evaluate what the log does not have, which keeps its place in the round."""
        found = self.log.of_round(number) if self.log else {}
        logged = {evaluation.sentence for evaluation in found.values()}
        free = [index for index in range(wanted) if index not in found]
        new = [candidate for candidate in batch.candidates if candidate.sentence not in logged]
        pending = list(zip(free, new, strict=False))
        self.observer.begins(number, len(found) + len(pending), wanted)
        for evaluation in found.values():
            self.observer.evaluated(evaluation)
        for place, outcome, seconds in self._outcomes([candidate.sentence for _, candidate in pending]):
            index, candidate = pending[place]
            found[index] = self._evaluation(number, index, candidate, batch, outcome, seconds)
            if self.log:
                self.log.append(found[index])
            self.observer.evaluated(found[index])
        whole = [found[index] for index in sorted(found)]
        last = whole[-1] if whole else batch  # a round that the log has was proposed by an earlier process
        self.proposals += last.proposals
        self.incomplete += last.incomplete
        self.done += whole
        self.observer.ends(number, self.result())

    def _evaluation(
        self, number: int, index: int, candidate: Candidate, batch: Batch, outcome: Outcome, seconds: float | None
    ) -> Evaluation:
        assert candidate.code is not None
        return Evaluation(
            round=number,
            index=index,
            sentence=candidate.sentence,
            value=outcome.value,
            reason=outcome.reason,
            seconds=seconds,
            code=tuple(candidate.code.tolist()),
            mean=None if candidate.mean is None else sign(self.problem) * candidate.mean,
            std=candidate.std,
            proposals=batch.proposals,
            incomplete=batch.incomplete,
        )

    def _outcomes(self, sentences: Sequence[str]) -> Iterator[tuple[int, Outcome, float | None]]:
        """The index, outcome and seconds of each sentence: those known at once, the others as they arrive."""
        unknown = [index for index, sentence in enumerate(sentences) if sentence not in self.cache]
        for index in sorted(set(range(len(sentences))).difference(unknown)):
            yield index, self.cache[sentences[index]], None
        if unknown:
            for place, outcome, seconds in self.oracle.evaluate([sentences[index] for index in unknown]):
                self.cache[sentences[unknown[place]]] = outcome
                yield unknown[place], outcome, seconds

    def _history(self) -> History:
        """What the search is told: all whole rounds, values turned so that larger is better."""
        told = [evaluation for evaluation in self.done if evaluation.valid or self.settings.invalid == "worst"]
        worst = worst_value(self.problem, self.done)
        values = [worst if evaluation.value is None else evaluation.value for evaluation in told]
        codes = torch.tensor([evaluation.code for evaluation in told], dtype=torch.float64)
        return History(
            sentences=[evaluation.sentence for evaluation in told],
            codes=codes if told else self.space.codes[:0],
            values=sign(self.problem) * torch.tensor(values, dtype=torch.float64),
            valid=torch.tensor([evaluation.valid for evaluation in told], dtype=torch.bool),
            rounds=torch.tensor([evaluation.round for evaluation in told], dtype=torch.int64),
            seen=frozenset(evaluation.sentence for evaluation in self.done),
        )
