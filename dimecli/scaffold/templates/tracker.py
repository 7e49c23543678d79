"""A log to read while a training runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from dimecli.plugin import Tracker, Tracking
from dimecli.plugin.tracker import history


class Example(Tracker):
    """Writes `example.txt` into the run's folder: a line per epoch, with the losses."""

    digits: int = Field(4, ge=1, le=17, description="Significant digits of a number.")

    def open(self, run: Path, config: Mapping[str, Any], resumed_at: int | None) -> Tracking:
        """Start the file; that of a resumed run starts with what `history.jsonl` kept."""
        log = _Log(run / "example.txt", self.digits)
        for step, numbers in history(run):
            log.record(step, numbers)
        return log

    def see(self, run: Path) -> str:
        """The file."""
        return str(run / "example.txt")


class _Log:
    def __init__(self, file: Path, digits: int) -> None:
        self._file, self._digits = file, digits
        file.write_text("", encoding="utf-8")

    def record(self, step: int, numbers: Mapping[str, float]) -> None:
        """Appends a line."""
        losses = {name: value for name, value in numbers.items() if name.endswith("/total")}
        self._append(f"step {step}: " + ", ".join(f"{name} {value:.{self._digits}g}" for name, value in losses.items()))

    def finish(self, results: Mapping[str, Any] | None) -> None:
        """Appends whether the training was finished."""
        self._append("interrupted" if results is None else "finished")

    def _append(self, line: str) -> None:
        with self._file.open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")
