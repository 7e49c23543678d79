"""One call of the oracle, where the executor makes it: whatever happens in it becomes an outcome."""

from __future__ import annotations

import math
import numbers
import os
import reprlib
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from types import FrameType

from dimecli.console import printable
from dimecli.errors import UserError
from dimecli.plugin import Language, Outcome, Problem

_SHOWN = 200  # characters of a reason


def outcome_of(returned: object) -> Outcome:
    """What a returned value says: a finite real number is valid; the reason names anything else.

    Scalars of numpy and torch are numbers. A bool is none: False more often says "failed" than 0.
    """
    if isinstance(returned, Outcome):
        if returned.value is None:
            return Outcome(None, one_line(str(returned.reason)) or "the problem gives no reason")
        returned = returned.value
    number = plain(returned)
    with suppress(OverflowError):  # an integer may be larger than floats are
        if isinstance(number, numbers.Real) and not isinstance(number, bool) and math.isfinite(number):
            return Outcome(float(number))
    return Outcome(None, one_line(f"returned {reprlib.repr(number)}, not a finite number"))


def plain(returned: object) -> object:
    """The number in a scalar of numpy or torch; anything else as it is."""
    return returned.item() if getattr(returned, "shape", None) == () else returned  # type: ignore[attr-defined]


def evaluate(problem: Problem, sentences: Sequence[str], language: Language) -> list[Outcome]:
    """An outcome for each sentence; raises what the problem raises, and ValueError if it gives more or fewer."""
    outcomes = [outcome_of(returned) for returned in problem.evaluate(sentences, language)]
    if len(outcomes) != len(sentences):
        raise ValueError(f"evaluate() gives {len(outcomes)} outcomes for {len(sentences)} sentences")
    return outcomes


def failure(error: BaseException) -> Outcome:
    """The invalid outcome of what raised: `ValueError: ...`."""
    name = type(error).__name__
    try:
        said = str(error)
    except Exception:  # it is the user's class
        said = ""
    return Outcome(None, one_line(f"{name}: {said}" if said else name))


def one_line(text: str) -> str:
    """The text on one line, as long as a reason may be."""
    line = printable(" ".join(text.split()))
    return line if len(line) <= _SHOWN else f"{line[: _SHOWN - 3]}..."


def here() -> tuple[int, int]:
    """This process and thread."""
    return os.getpid(), threading.get_ident()


def can_interrupt() -> bool:
    """Whether a call in this thread can be interrupted when its time is over: only a main thread gets signals."""
    return hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()


@dataclass(frozen=True)
class Call:
    """Evaluates a sentence in at most `timeout` seconds, None for any time; sent to where it runs.

    Args:
        host: Process and thread of the search: what interrupts a call there is the user's Ctrl-C.
    """

    problem: Problem
    language: Language
    timeout: float | None
    host: tuple[int, int] = field(default_factory=here)

    def __call__(self, sentence: str) -> tuple[Outcome, float]:
        """The outcome, whatever the problem does, and how many seconds it took."""
        start = time.perf_counter()
        try:
            with _interrupted(self.timeout):
                (outcome,) = evaluate(self.problem, [sentence], self.language)
        except _TooLong:
            outcome = self.too_long
        except BaseException as error:  # sys.exit() in a worker, too, must not cost more than this call
            if isinstance(error, KeyboardInterrupt) and here() == self.host:
                raise
            outcome = failure(error)
        seconds = time.perf_counter() - start
        if self.timeout is not None and seconds > self.timeout:
            outcome = self.too_long
        return outcome, seconds

    @property
    def too_long(self) -> Outcome:
        """The outcome of a call that takes longer than the timeout."""
        return Outcome(None, f"took longer than {self.timeout:g} s")

    def check(self) -> str | None:
        """Why calls cannot be made there, if so: the problem cannot be evaluated, or no time kept."""
        if self.timeout is not None and here() == self.host and not can_interrupt():
            return f"--timeout {self.timeout:g}: a call in this thread cannot be stopped; choose another --executor"
        try:
            self.problem.check(self.language)
        except UserError as error:
            return str(error)
        return None


class _TooLong(BaseException):
    """Raised in a call whose time is over; no Exception, which the user's function might catch."""


@contextmanager
def _interrupted(seconds: float | None) -> Iterator[None]:
    """Raises _TooLong after so many seconds, where that can be done."""
    if seconds is None or not can_interrupt():
        yield
        return

    def ring(signum: int, frame: FrameType | None) -> None:
        raise _TooLong

    timer, handler = signal.getitimer(signal.ITIMER_REAL), signal.signal(signal.SIGALRM, ring)
    try:
        try:
            signal.setitimer(signal.ITIMER_REAL, seconds)
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    finally:  # also when it rings in the line above
        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, *timer)
