"""The numbers of a search against plain loops."""

from __future__ import annotations

import json
import math

import pytest
from host_fakes import LowWave, Wave, word
from hypothesis import given
from hypothesis import settings as how
from hypothesis import strategies as st

from dimecli.plugin import Problem
from dimecli.search.result import Evaluation, Result

VALUES = st.lists(st.none() | st.sampled_from([-1.0, 0.0, 0.25, 2.0]), max_size=9)


def result(problem: Problem, initial: list[float | None], found: list[float | None]) -> Result:
    start = [evaluation(0, index, value) for index, value in enumerate(initial)]
    rest = [evaluation(1 + index // 2, index % 2, value, 100 + index) for index, value in enumerate(found)]
    return Result(problem, start, rest, 7, frozenset(word(number) for number in (101, 103)), 6, 2)


def evaluation(number: int, index: int, value: float | None, text: int | None = None) -> Evaluation:
    sentence = word(index if text is None else text)
    return Evaluation(number, index, sentence, value, "", 1.0, (0.0,))


@given(st.sampled_from([Wave(), LowWave(), Wave(least=-3.0), LowWave(least=4.0)]), VALUES, VALUES)
@how(derandomize=True, deadline=None)
def test_best_and_averages(problem: Problem, initial: list[float | None], found: list[float | None]) -> None:
    made = result(problem, initial, found)
    better = max if problem.direction == "max" else min
    worse = min if problem.direction == "max" else max
    valid = [value for value in found if value is not None]
    both = [value for value in [*initial, *found] if value is not None]
    so_far = [better([value for value in found[: n + 1] if value is not None], default=None) for n in range(len(found))]
    assert [None if math.isnan(best) else best for best in made.best_so_far.tolist()] == so_far
    assert [value for _, value in made.best(4)] == sorted(valid, reverse=better is max)[:4]
    assert made.initial_best == better([value for value in initial if value is not None], default=None)
    worst = problem.worst if problem.worst is not None else worse(both, default=0.0)
    if not valid and problem.worst is None:
        assert math.isnan(made.average), "0 would look like a value"
    elif found:
        assert made.average == pytest.approx(sum(worst if value is None else value for value in found) / len(found))
    limit = problem.worst if problem.worst is not None else worse(valid, default=0.0)
    kept = [value for value in valid if value != limit]
    paper = made.summary()["average_without_worst"]
    assert paper == (pytest.approx(sum(kept) / len(kept)) if kept else None)
    json.dumps(made.summary(), allow_nan=False)


def test_rates_and_counts() -> None:
    made = result(Wave(), [0.5, None], [1.0, None, 2.0])
    summary = made.summary(top=1)
    assert summary["valid"] == pytest.approx(2 / 3)
    assert summary["novel"] == pytest.approx(2 / 3), "100 and 102 are not among the training sentences"
    assert summary["distinct"] == 3 / 6
    assert (summary["evaluations"], summary["proposals"], summary["incomplete"]) == (3, 6, 2)
    assert (summary["initial"], summary["surveyed"], summary["initial_best"]) == (2, 7, 0.5)
    assert summary["best"] == [{"sentence": word(102), "value": 2.0}]
    assert made.valid.tolist() == [True, False, True]
    assert made.rounds.tolist() == [1, 1, 2]


def test_of_equal_values_the_first_found_comes_first() -> None:
    made = result(LowWave(), [], [2.0, 1.0, 1.0])
    assert made.best() == [(word(101), 1.0), (word(102), 1.0), (word(100), 2.0)]


@pytest.mark.parametrize("value", [1.7e308, -1.7e308, -0.0, 5e-324])
def test_values_at_the_ends_of_what_floats_are(value: float) -> None:
    made = result(Wave(), [value], [value, value, None])
    json.dumps(made.summary(), allow_nan=False)
    assert made.best_so_far.tolist() == [value] * 3
    assert [math.copysign(1, found) for _, found in made.best()] == [math.copysign(1, value)] * 2


def test_a_search_that_found_nothing() -> None:
    summary = result(Wave(), [], []).summary()
    assert (summary["valid"], summary["novel"], summary["distinct"], summary["best"]) == (0, 0, 0, [])
    assert (summary["average"], summary["average_without_worst"], summary["initial_best"]) == (None, None, None)
