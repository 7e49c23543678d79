"""What a search found, and how it compares."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

import torch
from pydantic import ConfigDict

from dimecli.plugin import Problem


@dataclass(frozen=True)
class Evaluation:
    """One sentence that was evaluated.

    Args:
        round: 0 for what the search started from, then the number of the round.
        index: Its place among the candidates of the round.
        sentence: As the grammar writes it.
        value: In the problem's own direction; None where it is invalid.
        reason: Why it is invalid.
        seconds: What the oracle took; None where the value was known already.
        code: The code that was proposed, or the encoder's.
        mean: What the search expected, in the problem's own direction; None if it expected nothing.
        std: The standard deviation of that.
        proposals: Candidates that the round looked at, those included that gave no new sentence.
        incomplete: Of those, the ones without a sentence.
    """

    round: int
    index: int
    sentence: str
    value: float | None
    reason: str
    seconds: float | None
    code: tuple[float, ...]
    mean: float | None = None
    std: float | None = None
    proposals: int = 0
    incomplete: int = 0

    __pydantic_config__: ClassVar = ConfigDict(strict=True, allow_inf_nan=False)  # for those that are read

    @property
    def valid(self) -> bool:
        """Whether it has a value."""
        return self.value is not None


def sign(problem: Problem) -> int:
    """What a value is multiplied with so that larger is better."""
    return 1 if problem.direction == "max" else -1


def worst_value(problem: Problem, evaluations: Sequence[Evaluation]) -> float:
    """What an invalid sentence counts as: the problem's worst value, or the worst one here; 0 if there is none."""
    if problem.worst is not None:
        return problem.worst
    values = [evaluation.value for evaluation in evaluations if evaluation.value is not None]
    return min(values, key=lambda value: sign(problem) * value, default=0.0)


@dataclass(frozen=True)
class Result:
    """A search so far. Numbers are those of the rounds; what it started from is counted apart.

    Args:
        problem: What was searched for.
        initial: What the search started from.
        found: What the rounds evaluated, in the order in which it was proposed: n sentences, all different.
        surveyed: Evaluations of training sentences from which the initial ones were chosen.
        training: The training sentences.
        proposals: Candidates that the rounds looked at, also a round without anything new.
        incomplete: Of those, the ones without a sentence.
    """

    problem: Problem
    initial: Sequence[Evaluation]
    found: Sequence[Evaluation]
    surveyed: int
    training: frozenset[str]
    proposals: int
    incomplete: int

    @property
    def sentences(self) -> list[str]:
        """The n sentences."""
        return [evaluation.sentence for evaluation in self.found]

    @cached_property
    def values(self) -> torch.Tensor:
        """`(n,)` float64 values in the problem's own direction; NaN where a sentence is invalid."""
        return _column(evaluation.value for evaluation in self.found)

    @property
    def valid(self) -> torch.Tensor:
        """`(n,)` bool: the sentence has a value."""
        return ~self.values.isnan()

    @cached_property
    def rounds(self) -> torch.Tensor:
        """`(n,)` int64: 1 for the first round."""
        return torch.tensor([evaluation.round for evaluation in self.found], dtype=torch.int64)

    @cached_property
    def mean(self) -> torch.Tensor:
        """`(n,)` values that the search expected; NaN where it expected nothing."""
        return _column(evaluation.mean for evaluation in self.found)

    @cached_property
    def std(self) -> torch.Tensor:
        """`(n,)` standard deviations of that."""
        return _column(evaluation.std for evaluation in self.found)

    @property
    def calls(self) -> int:
        """Sentences evaluated in the rounds, n: unique calls of the oracle, had nothing been known before."""
        return len(self.found)

    @property
    def distinct_rate(self) -> float:
        """Share of the proposals that were new: a sentence that had not occurred before."""
        return _share(self.calls, self.proposals)

    @property
    def valid_rate(self) -> float:
        """Share of the evaluated sentences that have a value."""
        return _share(int(self.valid.sum()), self.calls)

    @property
    def novel_rate(self) -> float:
        """Share of the evaluated sentences that are not among the training sentences."""
        return _share(len(set(self.sentences) - self.training), self.calls)

    @cached_property
    def best_so_far(self) -> torch.Tensor:
        """`(n,)` the best value after each evaluation; NaN before the first valid one."""
        if not self.calls:
            return self.values
        utilities = (sign(self.problem) * self.values).nan_to_num(nan=-math.inf)
        best = utilities.cummax(0).values
        return torch.where(best.isinf(), math.nan, sign(self.problem) * best)

    def of_round(self, number: int) -> Result:
        """One round alone; one that found nothing is without proposals, too."""
        found = [evaluation for evaluation in self.found if evaluation.round == number]
        proposals, incomplete = (found[-1].proposals, found[-1].incomplete) if found else (0, 0)
        return replace(self, found=found, proposals=proposals, incomplete=incomplete)

    @property
    def initial_best(self) -> float | None:
        """The best value that the search started from."""
        values = [evaluation.value for evaluation in self.initial if evaluation.value is not None]
        return max(values, key=lambda value: sign(self.problem) * value, default=None)

    def best(self, top: int = 10) -> list[tuple[str, float]]:
        """The best sentences with their values, the best first; of equal ones, the first found."""
        valued = [(evaluation.sentence, evaluation.value) for evaluation in self.found if evaluation.value is not None]
        return sorted(valued, key=lambda pair: -sign(self.problem) * pair[1])[:top]

    @property
    def average(self) -> float:
        """Mean value over all n, an invalid sentence at the worst value; NaN where nothing has a value."""
        if not self.valid.any() and self.problem.worst is None:
            return math.nan
        worst = worst_value(self.problem, [*self.initial, *self.found])
        return self.values.nan_to_num(nan=worst).mean().item()

    @property
    def average_without_worst(self) -> float:
        """Mean over the values that are better than the worst one found: the average of GrammarVAE's tables."""
        worst = worst_value(self.problem, self.found)
        return self.values[sign(self.problem) * self.values > sign(self.problem) * worst].mean().item()

    def summary(self, top: int = 10) -> dict[str, Any]:
        """The numbers as JSON values; None for an average of nothing, or one too large."""
        return {
            "evaluations": self.calls,
            "proposals": self.proposals,
            "incomplete": self.incomplete,
            "initial": len(self.initial),
            "surveyed": self.surveyed,
            "initial_best": self.initial_best,
            "best": [{"sentence": sentence, "value": value} for sentence, value in self.best(top)],
            "valid": self.valid_rate,
            "novel": self.novel_rate,
            "distinct": self.distinct_rate,
            "average": _or_none(self.average),
            "average_without_worst": _or_none(self.average_without_worst),
        }


def rank_correlation(expected: torch.Tensor, actual: torch.Tensor) -> float | None:
    """Spearman's correlation of two `(n,)` tensors where neither is NaN; None if either is constant there."""
    known = ~(expected.isnan() | actual.isnan())
    if len(expected[known].unique()) < 2 or len(actual[known].unique()) < 2:
        return None
    from scipy.stats import spearmanr

    return float(spearmanr(expected[known], actual[known]).statistic)


def _column(values: Any) -> torch.Tensor:
    return torch.tensor([math.nan if value is None else value for value in values], dtype=torch.float64)


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def _or_none(value: float) -> float | None:
    return value if math.isfinite(value) else None
