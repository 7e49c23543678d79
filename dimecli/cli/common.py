"""What the commands share: options, and the two ways to put out a result."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from dimecli.cli.options import completer

RUNS = Path("runs")
"""The folder of runs where neither `--runs` nor `$DIME_RUNS` names one."""


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
        metavar="FILE", help="TOML file with a table of options per plugin kind and command, or the run.json of a run."
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the resolved options as JSON, and do nothing.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as one JSON value.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Print nothing but the result and errors.")]
OneRun = Annotated[
    str | None,
    typer.Argument(
        metavar="RUN",
        help="Name of a run, or its folder. [dim]\\[default: the newest finished one][/dim]",
        autocompletion=complete_run,
    ),
]


def print_json(value: Any) -> None:
    """Prints one JSON value."""
    print(json.dumps(value, indent=2, ensure_ascii=False))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Prints a table as wide as the terminal, whose last column alone is wrapped."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, no_wrap=column != columns[-1], overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    Console().print(table)
