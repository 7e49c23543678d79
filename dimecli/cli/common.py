"""What the commands share: options, and the two ways to put out a result."""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from dimecli.cli.options import completer
from dimecli.console import printable

RUNS = Path("runs")
"""The folder of runs where neither `--runs` nor `$DIME_RUNS` names one."""

_NARROWEST = 24  # columns of the one that is wrapped; a terminal too narrow for that breaks the lines itself


def complete_run(ctx: typer.Context, incomplete: str) -> list[str]:
    """What a shell offers for a run: the folders that hold one."""
    folder = Path(ctx.params.get("runs") or RUNS)
    return completer(record.parent.name for record in sorted(folder.glob("*/run.json")))(incomplete)


Runs = Annotated[
    Path, typer.Option(envvar="DIME_RUNS", metavar="DIR", help="Folder that holds the runs.", show_default=True)
]
Config = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="TOML file with a table of options per plugin kind and command, the run.json of a run, or a .json file "
        "of what --dry-run printed.",
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the resolved options as JSON, and do nothing.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as one JSON value.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Print nothing but errors and, with --json, the result.")]
OneRun = Annotated[
    str | None,
    typer.Argument(
        metavar="RUN",
        help="Name of a run, or its folder. [dim]\\[default: the newest finished one][/dim]",
        autocompletion=complete_run,
    ),
]


def print_json(value: Any) -> None:
    """Prints one JSON value; what is no character, such as half of one, is escaped."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    print(text.encode(errors="backslashreplace").decode())


def print_lines(texts: Iterable[str]) -> None:
    """Prints texts, one a line, with escapes for what a terminal would obey."""
    sys.stdout.writelines(f"{printable(text)}\n" for text in texts)
    sys.stdout.flush()


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]], notes: Iterable[str] = ()) -> None:
    """Prints a table in which nothing is ever cut: on a terminal the last column alone is wrapped.

    Args:
        columns: The heads.
        rows: As many cells each.
        notes: A line to print below each row, where it is not empty.
    """
    table = [tuple(map(one_line, row)) for row in rows]
    widths = [max(map(len, column)) for column in zip(columns, *table, strict=True)][:-1]
    terminal = shutil.get_terminal_size((1_000_000, 0)).columns  # what is piped is not wrapped
    room = max(terminal - sum(widths) - 2 * len(widths), _NARROWEST)
    typer.secho(_lines(columns, widths, room), bold=True)
    remarks = iter(notes)
    for row in table:
        print(_lines(row, widths, room))
        if note := one_line(next(remarks, "")):
            print(f"  {note}")


def one_line(text: str) -> str:
    """The text without line breaks, and without what a terminal would obey."""
    return "".join(filter(str.isprintable, " ".join(text.split())))


def _lines(row: Sequence[str], widths: Sequence[int], room: int) -> str:
    *cells, last = row
    start = "".join(f"{cell:<{width}}  " for cell, width in zip(cells, widths, strict=True))
    return (start + f"\n{' ' * len(start)}".join(textwrap.wrap(last, room))).rstrip()
