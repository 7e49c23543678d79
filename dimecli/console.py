"""What a person reads while work goes on, on stderr: lines, and a bar with rate and time left."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

BAR_SECONDS = 0.25
LINE_SECONDS = 10.0


class Progress:
    """How far a piece of work is. This one tells nobody."""

    def update(self, completed: int, **shown: float) -> None:
        """`completed` of the total are done; `shown` are numbers to put beside it. Costs next to nothing."""


class Reporter:
    """Tells a person on stderr how it goes; a quiet one says nothing."""

    def __init__(self, quiet: bool = False) -> None:
        self.quiet = quiet

    @cached_property
    def _console(self) -> Console:
        from rich.console import Console

        return Console(stderr=True, highlight=False)

    def say(self, text: str) -> None:
        """Prints one line, however long."""
        if not self.quiet:
            self._console.print(text, markup=False, soft_wrap=True)

    @contextmanager
    def progress(self, description: str, total: int, unit: str) -> Iterator[Progress]:
        """A bar on a terminal, a plain line now and then elsewhere, as long as the context lasts."""
        if self.quiet:
            yield Progress()
        elif sys.stderr.isatty():
            from rich.progress import BarColumn, TextColumn
            from rich.progress import Progress as RichProgress

            columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[status]}", markup=False))
            with RichProgress(*columns, console=self._console, auto_refresh=False) as drawn:
                bar = _Bar(drawn, drawn.add_task(description, total=total, status=""), total, unit)
                yield bar
                bar.finish()
        else:
            lines = _Lines(self, description, total, unit)
            yield lines
            lines.finish()


class _Timed(Progress):
    """Draws at most every `interval` seconds, and the last state at the end."""

    interval: float

    def __init__(self, total: int, unit: str) -> None:
        self.total = total
        self._unit = unit
        self._first: tuple[float, int] | None = None
        self._drawn = time.monotonic()
        self._pending: tuple[int, dict[str, float]] | None = None

    def update(self, completed: int, **shown: float) -> None:
        now = time.monotonic()
        if self._first is None:
            self._first = now, completed  # a resumed run does not start at 0
        self._pending = completed, shown
        if now - self._drawn >= self.interval:
            self.finish()

    def finish(self) -> None:
        """Draws what was not drawn yet."""
        if self._pending is not None:
            completed, shown = self._pending
            self._pending = None
            self._drawn = time.monotonic()
            self.draw(completed, self._status(completed, shown))

    def draw(self, completed: int, status: str) -> None:
        """Shows the status."""
        raise NotImplementedError

    def _status(self, completed: int, shown: dict[str, float]) -> str:
        parts = [f"{completed}/{self.total} {self._unit}s"]
        since, start = self._first or (self._drawn, completed)
        if self._drawn > since and completed > start:
            rate = (completed - start) / (self._drawn - since)
            left = timedelta(seconds=round((self.total - completed) / rate))
            parts += [f"{rate:.3g} {self._unit}s/s", f"{left} left"]
        return ", ".join(parts + [f"{name} {value:.4g}" for name, value in shown.items()])


class _Bar(_Timed):
    interval = BAR_SECONDS

    def __init__(self, drawn: RichProgress, task: TaskID, total: int, unit: str) -> None:
        super().__init__(total, unit)
        self._progress = drawn
        self._task = task

    def draw(self, completed: int, status: str) -> None:
        self._progress.update(self._task, completed=completed, status=status, refresh=True)


class _Lines(_Timed):
    interval = LINE_SECONDS

    def __init__(self, reporter: Reporter, description: str, total: int, unit: str) -> None:
        super().__init__(total, unit)
        self._reporter = reporter
        self._description = description

    def draw(self, completed: int, status: str) -> None:
        self._reporter.say(f"{self._description}: {status}")
