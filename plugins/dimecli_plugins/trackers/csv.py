"""A table beside the history."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dimecli.plugin import Tracker, Tracking
from dimecli.plugin.tracker import history
from dimecli.run.files import append_line, write_atomic


class CSV(Tracker):
    """Writes `history.csv` into the run's folder: a row per epoch, a column per number.

    Cells are empty where an epoch lacks a number, as most lack the gradient shares.
    """

    def open(self, run: Path, config: Mapping[str, Any], resumed_at: int | None) -> Tracking:
        """Start the table; that of a resumed run starts with what `history.jsonl` kept."""
        return _Table(run / "history.csv", [{"step": step, **numbers} for step, numbers in history(run)])

    def see(self, run: Path) -> str:
        """The file."""
        return str(run / "history.csv")


class _Table:
    def __init__(self, file: Path, rows: list[dict[str, Any]]) -> None:
        self._file = file
        self._rows = rows
        self._write()

    def record(self, step: int, numbers: Mapping[str, float]) -> None:
        """Adds a row, and the columns that no row before it had."""
        row = {"step": step, **numbers}
        self._rows.append(row)
        if row.keys() <= set(self._columns):
            append_line(self._file, ",".join(str(row.get(column, "")) for column in self._columns))
        else:
            self._write()

    def _write(self) -> None:
        self._columns = list(dict.fromkeys(key for row in self._rows for key in row))

        def write(file: Path) -> None:
            with file.open("w", encoding="utf-8", newline="") as opened:
                table = csv.DictWriter(opened, self._columns, lineterminator="\n")
                table.writeheader()
                table.writerows(self._rows)

        write_atomic(self._file, write)

    def finish(self, results: Mapping[str, Any] | None) -> None:
        """Nothing is left to write."""
