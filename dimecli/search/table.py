"""A table of numbers from a CSV file."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from pathlib import Path

import torch

from dimecli.data.sentences import text_lines
from dimecli.errors import UserError, did_you_mean
from dimecli.grammar.messages import brief, shown


def read_table(path: Path, variables: Sequence[str], column: str | None) -> tuple[torch.Tensor, torch.Tensor]:
    """`(v, n)` inputs, a row for each variable, and `(n,)` targets, float64, of a CSV file with n rows.

    Commas, semicolons or tabs separate; decimals have a point. The first line names the columns. Those
    that are asked for hold finite numbers only; the others are not looked at.

    Args:
        path: The file, UTF-8.
        variables: Names of the columns with the v inputs.
        column: Name of the column with the target; None: the last one.

    Raises:
        UserError: it is no such table; names the file and the line.
    """
    where = f"--data {path}"
    try:
        content = path.expanduser().read_bytes()
    except OSError as error:
        raise UserError(f"{where}: cannot be read ({error.strerror})") from error
    lines = text_lines(content, where)
    delimiter = max(",;\t", key=lines[0].count)
    reader = csv.reader((f"{line}\n" for line in lines), delimiter=delimiter, skipinitialspace=True, strict=True)
    try:
        header = [name.strip() for name in next(reader)]
        columns = _columns(header, variables, column, where)
        rows = [_numbers(row, header, columns, f"{where}:{reader.line_num}") for row in reader if any(row)]
    except csv.Error as error:
        raise UserError(f"{where}:{reader.line_num}: is no CSV ({error})") from error
    if not rows:
        raise UserError(f"{where}: has no rows below its header")
    table = torch.tensor(rows, dtype=torch.float64).T.contiguous()
    return table[:-1], table[-1]


def _columns(header: list[str], variables: Sequence[str], column: str | None, where: str) -> list[int]:
    """Places of the columns with the variables, and then of that with the target."""
    if not any(header):
        raise UserError(f"{where}:1: must name the columns")
    for name in header:
        if header.count(name) > 1:
            raise UserError(f"{where}:1: two columns are named {shown(name)}")
    target = header[-1] if column is None else column
    if target not in header:
        raise UserError(f"--column {brief(target)}: {where}:1 has no such column.{did_you_mean(target, header)}")
    for name in variables:
        if name == target:
            raise UserError(
                f"{where}:1: column '{name}' is the target, and a variable of the grammar; name another one"
            )
        if name not in header:
            raise UserError(
                f"{where}:1: no column named '{name}', a variable of the grammar.{did_you_mean(name, header)}"
            )
    return [header.index(name) for name in (*variables, target)]


def _numbers(row: list[str], header: list[str], columns: list[int], where: str) -> list[float]:
    """The numbers in these columns of a row."""
    if len(row) != len(header):
        raise UserError(f"{where}: {len(row)} columns where the header has {len(header)}")
    numbers = []
    for column in columns:
        try:
            number = float(row[column])
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            raise UserError(
                f"{where}: '{header[column]}' is {shown(row[column])}; allowed: finite numbers such as -1.5"
            )
        numbers.append(number)
    return numbers
