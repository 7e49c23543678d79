"""What a person reads of a search, against the numbers of its log."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from host_fakes import Calls, Circle, Climb, LowWave, Wave

from dimecli.console import Reporter
from dimecli.plugin import Outcome, Problem
from dimecli.search.log import Log
from dimecli.search.loop import search
from dimecli.search.result import Result, rank_correlation
from dimecli.search.settings import SearchSettings
from dimecli.search.watch import Watch


class Lines(Reporter):
    """Keeps what it is told."""

    def __init__(self) -> None:
        super().__init__(quiet=True)
        self.told: list[str] = []

    def say(self, text: str) -> None:
        self.told.append(text)


def watched(problem: Problem, **settings: int) -> tuple[list[str], Result]:
    lines, how = Lines(), SearchSettings(**{"rounds": 3, "batch": 6, "initial": 8, **settings})
    result = search(Circle(), Calls("shuffled"), problem, Climb(), how, None, Watch(lines, "climb"))  # type: ignore[arg-type]
    return lines.told, result


@pytest.mark.parametrize("problem", [Wave(), LowWave()])
def test_a_line_for_each_round(problem: Problem) -> None:
    told, result = watched(problem)
    start = f"climb starts from 8 sentences, of 43 that were evaluated to choose them: best {result.initial_best:.6g}"
    assert told[0] == start
    rows = [line.split() for line in told[2:]]
    assert {line.rindex(" ") + 1 for line in told[1:]} == {told[1].index("sentence")}, "columns stand below their heads"
    turn = max if problem.direction == "max" else min
    for number, row in enumerate(rows, 1):
        so_far = [found for found in result.found if found.round <= number]
        one = [found for found in result.found if found.round == number]
        values = [found.value for found in so_far if found.value is not None]
        valid = sum(found.value is not None for found in one) / len(one)
        distinct = len(one) / one[0].proposals
        assert row[:4] == [str(number), str(len(so_far)), f"{turn(values):.6g}", f"{valid:.0%}"]
        assert row[5] == f"{distinct:.0%}"
        assert row[8] == next(found.sentence for found in so_far if found.value == turn(values))


def test_a_start_without_a_valid_sentence_comes_with_a_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("host_fakes.outcome_of", lambda value: Outcome(None, "flat"))
    told, _ = watched(Wave())
    assert told[0].endswith(": none valid, so it knows nothing yet; try --initial-from random")
    told, _ = watched(Wave(thrifty=False))
    assert told[0].endswith(": none valid, so it knows nothing yet")


def test_a_round_that_falls_short_is_told() -> None:
    told, result = watched(Wave(), batch=70, rounds=3)
    assert result.calls < 3 * 70
    assert any(line.startswith("Note: round ") and "of the 70 wanted" in line for line in told)


def test_rounds_add_up_to_the_whole() -> None:
    _, result = watched(Wave())
    parts = [result.of_round(number) for number in (1, 2, 3)]
    assert sum(part.proposals for part in parts) == result.proposals
    assert sum(part.incomplete for part in parts) == result.incomplete
    assert [sentence for part in parts for sentence in part.sentences] == result.sentences
    assert result.of_round(9).distinct_rate == 0


def test_the_rank_correlation_is_of_what_is_known() -> None:
    expected = torch.tensor([1.0, 2.0, 3.0, 4.0, math.nan])
    found = torch.tensor([10.0, 30.0, 20.0, math.nan, 0.0])
    assert rank_correlation(expected, found) == pytest.approx(0.5)  # 1 - 6 * 2 / (3 * 8)
    assert rank_correlation(expected, torch.ones(5)) is None


def test_a_log_that_is_whole_is_told_again(tmp_path: Path) -> None:
    how = SearchSettings(rounds=2, batch=5, initial=4)
    told = []
    for _ in range(2):
        lines = Lines()
        search(Circle(), Calls(), Wave(), Climb(), how, Log(tmp_path / "log"), Watch(lines, "climb"))  # type: ignore[arg-type]
        told.append([line.split()[:7] + line.split()[8:] for line in lines.told])  # without the seconds
    assert told[0] == told[1]
