"""`dime compare`: the numbers of several runs in one table."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from dimecli.cli.common import RUNS, AsJson, Quiet, Runs, complete_run, one_line, print_json, print_table
from dimecli.console import Reporter
from dimecli.errors import UserError
from dimecli.registry import file_options

if TYPE_CHECKING:
    from dimecli.report.compare import Comparison

SeveralRuns = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="RUN",
        help="Names of runs, or their folders. [dim]\\[default: every finished one][/dim]",
        autocompletion=complete_run,
        show_default=False,
    ),
]
Metric = Annotated[
    str | None,
    typer.Option(
        metavar="NAME,...",
        help="The numbers to show, with commas between: what a metric is called, or one of its numbers.",
    ),
]
Form = Literal["csv", "markdown", "latex"]


def compare(
    *,
    run: SeveralRuns = None,
    metric: Metric = None,
    csv: Annotated[bool, typer.Option("--csv", help="Print a line for each run, with the numbers in full.")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print tables in Markdown.")] = False,
    latex: Annotated[bool, typer.Option("--latex", help="Print tables in LaTeX, for the package booktabs.")] = False,
    runs: Runs = RUNS,
    json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Prints what was measured of the runs, equal conditions beside each other, and what differs between the runs."""
    from dimecli.report import tables
    from dimecli.report.compare import compare as compare_runs

    forms = {"csv": csv, "markdown": markdown, "latex": latex, "json": json}
    chosen = [name for name, wanted in forms.items() if wanted]
    if len(chosen) > 1:
        raise UserError(f"--{chosen[0]} and --{chosen[1]}: choose one of the two")
    paths = several(run, runs)
    done = compare_runs(paths, [name.strip() for name in (metric or "").split(",") if name.strip()])
    if json:
        print_json(tables.as_json(done))
    elif chosen:
        written = {"csv": tables.as_csv, "markdown": tables.markdown, "latex": tables.latex}[chosen[0]](done)
        print(written, end="")
    elif not quiet:
        _print(done)
    _tell(done, Reporter(quiet))


def build(words: Sequence[str]) -> Callable[..., None]:
    """The command, which is the same for all words."""
    return compare


def several(named: Sequence[str] | None, runs: Path) -> list[Path]:
    """The folders of the runs of these names, or of every finished run.

    Raises:
        UserError: there is no such run, or none at all.
    """
    from dimecli.run.folder import find_runs, list_runs

    if named:
        return find_runs(named, runs)
    if found := [runs / row["run"] for row in list_runs(runs) if row["state"] == "finished"]:
        return found
    raise UserError(f"no finished run in {runs}; train one first: dime train")


def _print(comparisons: Sequence[Comparison]) -> None:
    from dimecli.evaluation.conditions import written
    from dimecli.report.tables import PLAIN, cells, settings

    for place, comparison in enumerate(comparisons):
        print("\n" * bool(place) + f"{comparison.data}: {len(comparison.runs)} runs")
        print_table(*settings(comparison))
        if not comparison.rows:
            continue
        print()
        print_table(*cells(comparison, PLAIN))
        if comparison.shared:
            print(one_line(f"all: {written(comparison.shared)}"))
        for number, note in enumerate(comparison.notes, 1):
            print(one_line(f"[{number}] {note}"))
        if any(row.best for row in comparison.rows):
            print("* the best value; how far chance moves it, further seeds tell")


def _tell(comparisons: Sequence[Comparison], reporter: Reporter) -> None:
    """What is missing, and how to get it."""
    if len(comparisons) > 1:
        reporter.say("Note: runs on different data are apart, because their numbers do not compare")
    for comparison in comparisons:
        for run in comparison.runs:
            if run.trouble:
                reporter.say(f"Warning: {run.trouble}")
        for run in comparison.unmeasured:
            reporter.say(f"Nothing was measured of {run.label} yet: dime evaluate {shlex.quote(str(run.path))}")
        if any(entry is None for row in comparison.rows for entry in row.entries):
            reporter.say(
                "An empty cell: not measured under these conditions, or not defined; dime evaluate RUN measures"
            )
    every = [shlex.quote(str(run.path)) for comparison in comparisons for run in comparison.runs]
    reporter.say(f"Next: dime report {' '.join(every)}{file_options()}")
