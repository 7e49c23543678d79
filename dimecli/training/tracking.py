"""Trackers beside a training that must not hang on them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from dimecli.console import Reporter
from dimecli.errors import UserError
from dimecli.plugin import Tracker, Tracking
from dimecli.plugin.tracker import flat, numbers_of


class Trackings:
    """The open trackers of a training. Where one fails the user is told once, and the training goes on without it.

    Args:
        trackers: By their names.
        config: The run's options, as tables.
        reporter: Told what fails.
    """

    def __init__(self, trackers: Mapping[str, Tracker], config: Mapping[str, Any], reporter: Reporter) -> None:
        self._trackers, self._config, self._reporter = trackers, flat(config), reporter
        self._open: dict[str, Tracking] = {}

    def open(self, run: Path, resumed_at: int | None) -> None:
        """Open all; see `Tracker.open`.

        Raises:
            UserError: an option of a tracker is wrong.
        """
        self._run = run
        for name, tracker in self._trackers.items():
            opened = self._ask(name, tracker.open, run, self._config, resumed_at)
            if opened is not None:
                self._open[name] = opened

    def record(self, record: Mapping[str, Any]) -> None:
        """Tell a line of `history.jsonl`."""
        step, numbers = numbers_of(record)
        for name, tracking in list(self._open.items()):
            self._ask(name, tracking.record, step, numbers)

    def finish(self, results: Mapping[str, Any] | None) -> None:
        """Close all, and say where a finished run can be seen; see `Tracking.finish`."""
        for name, tracking in list(self._open.items()):
            self._ask(name, tracking.finish, None if results is None else flat(results))
            finished = results is not None and name in self._open
            if finished and (see := self._ask(name, self._trackers[name].see, self._run)):
                self._reporter.say(f"Tracked by {name}: {see}")
        self._open.clear()

    def _ask(self, name: str, method: Callable[..., Any], *arguments: Any) -> Any:
        try:
            with redirect_stdout(sys.stderr):  # stdout is for what `--json` prints
                return method(*arguments)
        except (Exception, SystemExit) as error:  # a third party's may raise anything, or leave
            if isinstance(error, UserError) and name not in self._open:
                raise
            self._open.pop(name, None)
            reason = f"{type(error).__name__}: {error}".partition("\n")[0]
            self._reporter.say(f"Warning: tracker '{name}' failed, and is told nothing more: {reason}")
            return None
