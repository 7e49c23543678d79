"""`dime runs`: lists, shows and removes runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Annotated, Any

import typer

from dimecli.cli.common import RUNS, AsJson, OneRun, Runs, complete_run, print_json, print_table
from dimecli.console import Reporter
from dimecli.fields import show as show_value

app = typer.Typer()


@app.command("list")
def list_command(runs: Runs = RUNS, json: AsJson = False) -> None:
    """List the runs, the newest last."""
    from dimecli.run.folder import list_runs

    rows = list_runs(runs)
    if json:
        print_json(rows)
    elif rows:
        columns = ("run", "state", "time", "objective", "dataset", "network")
        cells = ([_cell(row, column) for column in columns] for row in rows)
        print_table(columns, cells, [str(row["error"] or "") for row in rows])
    else:
        Reporter().say(f"No runs in {runs}. Next: dime train")


@app.command()
def show(run: OneRun = None, runs: Runs = RUNS, json: AsJson = False) -> None:
    """Show everything that a run recorded: options, plugins, machine, results."""
    from dimecli.run.folder import find_run, read_record

    record = read_record(find_run(run, runs))
    if json:
        print_json(record)
    else:
        print_table(("key", "value"), _flat(record))


@app.command()
def rm(
    run: Annotated[
        str, typer.Argument(metavar="RUN", help="Name of a run, or its folder.", autocompletion=complete_run)
    ],
    runs: Runs = RUNS,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete a run, with its weights, samples and pictures."""
    from dimecli.run.folder import find_run, remove_run

    path = find_run(run, runs)
    if not yes:
        typer.confirm(f"Delete {path} and everything in it?", abort=True, err=True)
    remove_run(path)
    Reporter().say(f"Removed {path}")


def _cell(row: Mapping[str, Any], column: str) -> str:
    if column == "time":
        seconds = row.get("seconds")
        return "" if seconds is None else str(timedelta(seconds=round(seconds)))
    if column == "dataset":  # of sentences, what they are of
        return str(row.get("grammar") or row.get(column) or "")
    return str(row.get(column) or "")


def _flat(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, item in value.items():
        if isinstance(item, Mapping):
            yield from _flat(item, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", show_value(item)
