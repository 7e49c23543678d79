"""A table that conditions of SQL are tried on, and that none of them can change."""

from __future__ import annotations

import csv
import random
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from dimecli.errors import UserError, did_you_mean

Value = str | float | None
_MOST_STEPS = 1_000_000_000  # of SQLite's machine, some seconds: a condition that needs more is stopped
_ALLOWED = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ}
_FUNCTIONS = {"abs", "glob", "length", "like", "lower", "round", "upper"}
_TRUE, _FALSE = {"1", "true", "yes"}, {"", "0", "false", "no"}


@dataclass(frozen=True, eq=False)
class Table:
    """Rows without their labels, which a condition must not see.

    Args:
        connection: Has the rows as the table `data`, and answers nothing but SELECT.
        wanted: Numbers of the rows that are to be found, from 1.
    """

    connection: sqlite3.Connection
    wanted: frozenset[int]

    @classmethod
    def of(cls, names: Sequence[str], rows: Sequence[Sequence[Value]], labels: Sequence[bool]) -> Table:
        """The table of these columns, a label for each row."""
        connection = sqlite3.connect(":memory:", check_same_thread=False)
        columns = ", ".join('"{}"'.format(name.replace('"', '""')) for name in names)
        connection.execute(f"CREATE TABLE data ({columns})")
        connection.executemany(f"INSERT INTO data VALUES ({', '.join('?' * len(names))})", rows)
        connection.commit()
        connection.execute("PRAGMA query_only = ON")
        connection.set_authorizer(_authorised)
        connection.set_progress_handler(lambda: 1, _MOST_STEPS)
        return cls(connection, frozenset(number for number, label in enumerate(labels, 1) if label))

    def found(self, condition: str) -> frozenset[int]:
        """Numbers of the rows for which the condition is true.

        Raises:
            sqlite3.Error: it is no condition on this table, asks for more than to read it, or takes too long.
        """
        return frozenset(number for (number,) in self.connection.execute(f"SELECT rowid FROM data WHERE {condition}"))


def _authorised(action: int, _: str | None, function: str | None, *where: str | None) -> int:
    """Whether SQLite may do that on behalf of a condition."""
    allowed = action in _ALLOWED or (action == sqlite3.SQLITE_FUNCTION and function in _FUNCTIONS)
    return sqlite3.SQLITE_OK if allowed else sqlite3.SQLITE_DENY


def goods() -> Table:
    """500 goods: cheap red ones are to be found, and light ones that are not small."""
    rng = random.Random(0)
    rows: list[tuple[Value, ...]] = []
    labels = []
    for _ in range(500):
        price, weight = rng.randrange(120), rng.randrange(120)
        colour, size = rng.choice(("red", "green", "blue")), rng.choice(("small", "medium", "large"))
        rows.append((price, weight, colour, size, int(rng.random() < 0.7)))
        labels.append((price < 50 and colour == "red") or (weight < 20 and size != "small"))
    return Table.of(("price", "weight", "colour", "size", "in_stock"), rows, labels)


def read(path: Path, label: str) -> Table:
    """The table in a CSV file, whose column `label` says which rows are to be found.

    Raises:
        UserError: it cannot be read as one, or there is nothing to find; names the file and the line.
    """
    where = f"--table {path}"
    try:
        with path.expanduser().open(encoding="utf-8-sig", newline="") as file:
            lines = list(_lines(csv.reader(file, strict=True), where))
    except OSError as error:
        raise UserError(f"{where}: cannot be read ({error.strerror})") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{where}: is no CSV in UTF-8 ({error})") from error
    if not lines:
        raise UserError(f"{where}: is empty; its first line should name the columns")
    names = lines[0][1]
    if len({name.lower() for name in names}) < len(names):
        raise UserError(f"{where}: two columns have the same name; SQL takes capitals for small letters")
    if label not in names:
        raise UserError(f"--label {label}: {where} has no such column.{did_you_mean(label, names)}")
    place = names.index(label)
    labels = [_label(row[place], f"{where}:{number}: '{label}'") for number, row in lines[1:]]
    if not any(labels):
        raise UserError(f"{where}: '{label}' is true in no row, so there is nothing to find")
    rows = [[_value(cell) for column, cell in enumerate(row) if column != place] for _, row in lines[1:]]
    return Table.of([name for name in names if name != label], rows, labels)


def _lines(reader: Iterator[list[str]], where: str) -> Iterator[tuple[int, list[str]]]:
    """The number and the cells of each line that is not empty."""
    width = 0
    for number, row in enumerate(reader, 1):
        if row:
            width = width or len(row)
            if len(row) != width:
                raise UserError(f"{where}:{number}: {len(row)} cells; allowed: {width}, as the first line names")
            yield number, [cell.strip() for cell in row]


def _value(cell: str) -> Value:
    """A number where the cell is one; NULL where it is empty."""
    with suppress(ValueError):
        return float(cell)
    return cell or None


def _label(cell: str, where: str) -> bool:
    if cell.lower() in _TRUE | _FALSE:
        return cell.lower() in _TRUE
    raise UserError(f"{where} is {cell!r}; allowed: 1, true or yes, and 0, false, no or nothing")
