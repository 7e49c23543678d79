from __future__ import annotations

import io
import sys

import pytest

from dimecli import console
from dimecli.console import BAR_COLUMNS, Reporter, layout, printable


class Clock:
    now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(console, "time", clock)
    return clock


def test_say_writes_one_line_as_it_is_to_stderr(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    text = "[bold]not markup[/bold]" + 20 * " long"
    Reporter().say(text)
    assert capsys.readouterr() == ("", f"{text}\n")


def test_quiet_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    reporter = Reporter(quiet=True)
    reporter.say("a")
    with reporter.progress("training", 10, "step") as progress:
        progress.update(5, loss=1.0)
    assert capsys.readouterr() == ("", "")


def test_lines_come_at_most_every_ten_seconds_and_the_last_state_at_the_end(
    capsys: pytest.CaptureFixture[str], clock: Clock
) -> None:
    with Reporter().progress("training", 1000, "step") as progress:
        for step in range(0, 301, 10):  # 30 seconds, 10 steps a second
            clock.now = 100 + step / 10
            progress.update(step, loss=1 / (1 + step))
    assert capsys.readouterr().err.splitlines() == [
        "training: 100/1000 steps, 10 steps/s, 0:01:30 left, loss 0.009901",
        "training: 200/1000 steps, 10 steps/s, 0:01:20 left, loss 0.004975",
        "training: 300/1000 steps, 10 steps/s, 0:01:10 left, loss 0.003322",
    ]


def test_work_that_is_over_soon_is_told_once(capsys: pytest.CaptureFixture[str], clock: Clock) -> None:
    with Reporter().progress("training", 3, "step") as progress:
        for step in range(1, 4):
            clock.now += 0.1
            progress.update(step)
    assert capsys.readouterr().err == "training: 3/3 steps, 10 steps/s, 0:00:00 left\n"


def test_the_rate_of_resumed_work_counts_from_where_it_resumed(
    capsys: pytest.CaptureFixture[str], clock: Clock
) -> None:
    with Reporter().progress("training", 1000, "step") as progress:
        progress.update(900)
        clock.now += 20
        progress.update(920)
    assert capsys.readouterr().err == "training: 920/1000 steps, 1 steps/s, 0:01:20 left\n"


def test_a_terminal_gets_a_bar_a_few_times_a_second(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    screen = io.StringIO()
    screen.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    reporter = Reporter()
    with reporter.progress("training", 200, "step") as progress:
        for step in range(100):
            clock.now += 0.01
            progress.update(step, loss=0.5)
        reporter.say("said above the bar")
    drawn = screen.getvalue()
    assert "99/200 steps, 100 steps/s, 0:00:01 left, loss 0.5" in drawn
    assert "said above the bar" in drawn
    assert sum(f" {step}/200 steps" in drawn for step in range(100)) <= 6


STATE = ["1234/12000 steps", "55.3 steps/s", "0:03:15 left"]
TERMS = ["reconstruction 27.25", "information -3.125", "total 24.12"]


@pytest.mark.parametrize("width", [20, 40, 60, 80, 100, 130, 200])
def test_a_narrow_terminal_shows_every_part_whole(width: int) -> None:
    barred, lines = layout("training", STATE, TERMS, width)
    assert ", ".join(STATE + TERMS) == " ".join(lines).replace("left rec", "left, rec")
    assert barred == (width >= 80)
    assert len(lines) == {20: 6, 40: 3, 60: 2, 80: 2, 100: 2, 130: 1, 200: 1}[width]
    beside = len("training ") + (BAR_COLUMNS + 1) * barred
    assert width < 40 or max(beside + len(lines[0]), *map(len, lines)) <= width


@pytest.mark.parametrize("columns", [40, 80])
def test_a_narrow_terminal_gets_whole_lines(monkeypatch: pytest.MonkeyPatch, clock: Clock, columns: int) -> None:
    screen = io.StringIO()
    screen.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", str(columns))
    with Reporter().progress("training", 20000, "step") as progress:
        progress.update(10000)
        clock.now += 1
        progress.update(11000, reconstruction=27.25, information=-3.125, total=24.125)
    drawn = screen.getvalue()
    for part in ("training", "11000/20000 steps", "1000 steps/s", "0:00:09 left", "information -3.125", "total 24.12"):
        assert part in drawn
    assert ("━" in drawn) == (columns == 80)


def test_an_error_passes_through() -> None:
    with pytest.raises(ZeroDivisionError), Reporter().progress("training", 2, "step"):
        raise ZeroDivisionError


def test_what_a_terminal_would_obey_is_escaped() -> None:
    assert printable("sin(x) µ²") == "sin(x) µ²"
    assert printable("a\x1b[31m\n\tb\u2028\x9b") == "a\\x1b[31m\\n\\tb\\u2028\\x9b"
