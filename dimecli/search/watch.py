"""What a person reads while a search goes on: a line for each round."""

from __future__ import annotations

import time
from contextlib import ExitStack

from dimecli.console import Progress, Reporter, printable
from dimecli.search.loop import Observer
from dimecli.search.result import Evaluation, Result, rank_correlation

_HEAD = "round  evaluations  best so far  valid  novel  distinct  rank corr.  seconds  sentence"


class Watch(Observer):
    """Tells a reporter of every round, and of every result where results take their time.

    Args:
        reporter: Who is told.
        name: Of the search.
        baseline: It starts from what was told before, and is told by its name alone.
    """

    def __init__(self, reporter: Reporter, name: str, baseline: bool = False) -> None:
        self._reporter, self._name, self._baseline = reporter, name, baseline
        self._open = ExitStack()
        self._progress = Progress()
        self._done = 0
        self._since = time.monotonic()

    def begins(self, number: int, evaluations: int, wanted: int) -> None:
        """Shows a bar while a round goes on."""
        self._done = 0
        what = f"{self._name}, round {number}" if number else f"{self._name}, to start from"
        self._progress = self._open.enter_context(
            self._reporter.progress(what, evaluations, "evaluation", transient=True)
        )
        if number and evaluations < wanted:
            self._reporter.say(f"Note: round {number} has only {evaluations} new sentences of the {wanted} wanted")

    def evaluated(self, evaluation: Evaluation) -> None:
        """Moves the bar."""
        self._done += 1
        self._progress.update(self._done)

    def ends(self, number: int, result: Result) -> None:
        """Tells a line in place of the bar."""
        self._open.close()
        seconds, self._since = time.monotonic() - self._since, time.monotonic()
        if number == 0:
            self._reporter.say(f"{self._name}, to compare" if self._baseline else self._start(result))
            self._reporter.say(_HEAD)
        elif result.of_round(number).calls:
            self._reporter.say(_row(number, result, seconds))

    def _start(self, result: Result) -> str:
        surveyed = f", of {result.surveyed} that were evaluated to choose them" * bool(result.surveyed)
        none = "none valid, so it knows nothing yet" + "; try --initial-from random" * bool(result.surveyed)
        best = none if result.initial_best is None else f"best {result.initial_best:.6g}"
        return f"{self._name} starts from {len(result.initial)} sentences{surveyed}: {best}"


def _row(number: int, result: Result, seconds: float) -> str:
    """A line under `_HEAD`: rates and correlation are those of the round, the rest is of the search so far."""
    one = result.of_round(number)
    best = [(f"{value:.6g}", sentence) for sentence, value in result.best(1)] or [("-", "none valid yet")]
    correlation = rank_correlation(one.mean, one.values)
    told = "-" if correlation is None else f"{correlation:.2f}"
    return (
        f"{number:>5}  {result.calls:>11}  {best[0][0]:>11}  {one.valid_rate:>5.0%}  {one.novel_rate:>5.0%}"
        f"  {one.distinct_rate:>8.0%}  {told:>10}  {seconds:>7.1f}  {printable(best[0][1])}"
    )
