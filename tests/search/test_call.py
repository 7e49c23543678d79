"""What problems return, and what happens in their calls, as outcomes."""

from __future__ import annotations

import signal
import time
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch

from dimecli.plugin import Language, Outcome, Problem
from dimecli.registry import make
from dimecli.search.call import Call, failure, outcome_of


@pytest.mark.parametrize(
    ("returned", "value"),
    [
        (1, 1.0),
        (-0.5, -0.5),
        (Fraction(1, 4), 0.25),
        (np.float32(0.5), 0.5),
        (np.int64(3), 3.0),
        (np.array(2.0), 2.0),
        (torch.tensor(2.5, requires_grad=True), 2.5),
        (torch.tensor(2, dtype=torch.bfloat16), 2.0),
        (Outcome(3.0), 3.0),
        (Outcome(np.float64(3.0)), 3.0),
    ],
)
def test_finite_numbers_are_valid(returned: Any, value: float) -> None:
    outcome = outcome_of(returned)
    assert outcome == Outcome(value)
    assert type(outcome.value) is float


@pytest.mark.parametrize(
    ("returned", "named"),
    [
        (None, "None"),
        ("1.5", "'1.5'"),
        (True, "True"),
        (np.False_, "False"),
        (torch.tensor(True), "True"),
        (float("nan"), "nan"),
        (np.float32("inf"), "inf"),
        (torch.tensor(float("-inf")), "-inf"),
        (1j, "1j"),
        (10**400, "1000"),
        ([1.0], "[1.0]"),
        (np.ones(1), "array([1.])"),
        (torch.ones(2), "tensor"),
        (Outcome(float("nan")), "nan"),
        (Outcome("a"), "'a'"),  # type: ignore[arg-type]
        (object, "object"),
    ],
)
def test_anything_else_is_invalid_and_named(returned: Any, named: str) -> None:
    outcome = outcome_of(returned)
    assert outcome.value is None
    assert outcome.reason.startswith("returned ")
    assert named in outcome.reason


def test_the_problems_own_reason_stays() -> None:
    assert outcome_of(Outcome(None, "no ring\n closes")) == Outcome(None, "no ring closes")
    assert outcome_of(Outcome(None)).reason


def test_reasons_are_one_line_of_bounded_length() -> None:
    class MuteError(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    assert failure(ValueError("no\n\x1b[31m good")).reason == "ValueError: no \\x1b[31m good"
    assert failure(KeyError()).reason == "KeyError"
    assert failure(MuteError()).reason == "MuteError"
    assert len(failure(ValueError("x" * 10_000)).reason) == 200


class _Sleeps(Problem):
    """Sleeps as many seconds as the sentence says."""

    def evaluate(self, sentences: Any, language: Language) -> list[float]:
        time.sleep(float(sentences[0]))
        return [1.0]


class _Swallows(Problem):
    """Goes on when it is interrupted."""

    def evaluate(self, sentences: Any, language: Language) -> list[float]:
        try:
            time.sleep(60)
        except BaseException:
            return [1.0]
        return [2.0]


class _Several(Problem):
    """Gives more outcomes than sentences."""

    def evaluate(self, sentences: Any, language: Language) -> list[float]:
        return [1.0, 2.0]


def test_a_call_ends_when_its_time_is_over_and_leaves_the_alarm_as_it_was() -> None:
    language = make("grammar", "expressions")
    before = signal.getsignal(signal.SIGALRM)
    signal.setitimer(signal.ITIMER_REAL, 1000.0)
    try:
        outcome, seconds = Call(_Sleeps(), language, 0.1)("60")
        assert outcome == Outcome(None, "took longer than 0.1 s")
        assert 0.1 <= seconds < 30
        assert Call(_Swallows(), language, 0.1)("x")[0] == outcome
        assert Call(_Sleeps(), language, 10.0)("0")[0] == Outcome(1.0)
        assert Call(_Sleeps(), language, None)("0")[0] == Outcome(1.0)
        assert 900 < signal.getitimer(signal.ITIMER_REAL)[0] < 1000
        assert signal.getsignal(signal.SIGALRM) is before
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def test_a_wrong_number_of_outcomes_is_no_outcome() -> None:
    outcome, _ = Call(_Several(), make("grammar", "expressions"), None)("x")
    assert outcome == Outcome(None, "ValueError: evaluate() gives 2 outcomes for 1 sentences")
