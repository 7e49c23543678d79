"""What a person reads while work goes on, on stderr: lines, and a bar with rate and time left."""

from __future__ import annotations

import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live

BAR_COLUMNS = 20
BAR_SECONDS = 0.25
LINE_SECONDS = 10.0


def printable(text: str) -> str:
    """The text on one line, with escapes for what a terminal would obey."""
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)


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
    def progress(self, description: str, total: int, unit: str, transient: bool = False) -> Iterator[Progress]:
        """A bar on a terminal, a plain line now and then elsewhere, as long as the context lasts.

        Args:
            description: What goes on.
            total: When it is done.
            unit: What is counted, in the singular.
            transient: Leave nothing of it, because something better is told at the end.
        """
        if self.quiet:
            yield Progress()
        elif sys.stderr.isatty():
            from rich.live import Live

            with Live(console=self._console, auto_refresh=False, transient=transient) as live:
                bar = _Bar(live, description, total, unit)
                yield bar
                bar.finish()
        else:
            lines = _Lines(self, description, total, unit)
            yield lines
            if not transient:
                lines.finish()


QUIET = Reporter(quiet=True)


class _Timed(Progress, ABC):
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
            self.draw(completed, self._state(completed), [f"{name} {value:.4g}" for name, value in shown.items()])

    @abstractmethod
    def draw(self, completed: int, state: Sequence[str], terms: Sequence[str]) -> None:
        """Shows how far it is, and the numbers beside it."""

    def _state(self, completed: int) -> list[str]:
        parts = [f"{completed}/{self.total} {self._unit}s"]
        since, start = self._first or (self._drawn, completed)
        if self._drawn > since and completed > start:
            rate = (completed - start) / (self._drawn - since)
            left = timedelta(seconds=round((self.total - completed) / rate))
            pace = f"{rate:.3g}" if rate < 1000 else f"{rate:.0f}"
            parts += [f"{pace} {self._unit}s/s", f"{left} left"]
        return parts


class _Bar(_Timed):
    interval = BAR_SECONDS

    def __init__(self, live: Live, description: str, total: int, unit: str) -> None:
        super().__init__(total, unit)
        self._live = live
        self._description = description

    def draw(self, completed: int, state: Sequence[str], terms: Sequence[str]) -> None:
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        barred, lines = layout(self._description, state, terms, self._live.console.width)
        first = Table.grid(padding=(0, 1))
        bar = [ProgressBar(self.total, completed, BAR_COLUMNS)] if barred else []
        first.add_row(self._description, *bar, Text(lines[0]))
        self._live.update(Group(first, *map(Text, lines[1:])), refresh=True)


def layout(description: str, state: Sequence[str], terms: Sequence[str], width: int) -> tuple[bool, list[str]]:
    """Whether there is room for a bar, and the lines: the first beside it, the others below; no part is cut."""
    room = width - len(description) - 1
    beside = room - BAR_COLUMNS - 1
    whole = ", ".join([*state, *terms])
    if len(whole) <= beside:
        return True, [whole]
    if len(", ".join(state)) <= beside:
        return True, [", ".join(state), *_wrap(terms, width, width)]
    return False, _wrap([*state, *terms], room, width)


def _wrap(parts: Sequence[str], first: int, width: int) -> list[str]:
    """The parts in as few lines as hold them, the first of which has a width of its own."""
    lines = [parts[0]]
    for part in parts[1:]:
        longer = f"{lines[-1]}, {part}"
        if len(longer) < (width if len(lines) > 1 else first):  # a comma may follow
            lines[-1] = longer
        else:
            lines[-1] += ","
            lines.append(part)
    return lines


class _Lines(_Timed):
    interval = LINE_SECONDS

    def __init__(self, reporter: Reporter, description: str, total: int, unit: str) -> None:
        super().__init__(total, unit)
        self._reporter = reporter
        self._description = description

    def draw(self, completed: int, state: Sequence[str], terms: Sequence[str]) -> None:
        self._reporter.say(f"{self._description}: {', '.join([*state, *terms])}")
