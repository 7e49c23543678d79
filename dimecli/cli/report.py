"""`dime report`: one HTML page about a run, or about several beside each other."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from pydantic import Field

from dimecli.cli.common import RUNS, AsJson, Config, DryRun, Quiet, Runs, complete_run, print_json
from dimecli.cli.line import Line
from dimecli.cli.parsed import Parsed
from dimecli.console import Reporter
from dimecli.defaults import default
from dimecli.registry import entry_of, file_options
from dimecli.settings import Settings

KINDS = ("density",)

SomeRuns = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="RUN",
        help="Names of runs, or their folders; several are put beside each other. [dim]\\[default: the newest finished "
        "one][/dim]",
        autocompletion=complete_run,
        show_default=False,
    ),
]
Output = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        dir_okay=False,
        help="Write the page there. [dim]\\[default: report.html in the run, or in the folder of all of them][/dim]",
    ),
]


class ReportSettings(Settings):
    """The options of `dime report` that belong to no plugin; the table [report] of a TOML file."""

    count: int = Field(64, ge=1, le=400, description="Samples to draw from each run.")
    seed: int = Field(0, ge=0, lt=2**63, description="Seed of all draws and choices.")
    device: Literal["auto", "cpu", "cuda", "mps"] = Field("auto", description="Where to compute.")
    threads: int | None = Field(None, ge=1, description="CPU threads; default: the physical cores.")


def report(
    parsed: Parsed,
    *,
    run: SomeRuns = None,
    output: Output = None,
    config: Config = None,
    runs: Runs = RUNS,
    dry_run: DryRun = False,
    json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Writes the page and says where it is, and which parts could not be made."""
    from dimecli.run.folder import find_run, find_runs

    reporter = Reporter(quiet)
    density, settings = parsed.settings("density"), parsed.settings("report")
    paths = list(dict.fromkeys(find_runs(run, runs) if run else [find_run(None, runs)]))
    if dry_run:
        print_json({"density": {"name": entry_of(density).name, **density.options()}, "report": settings.options()})
        reporter.say(f"Would report on {', '.join(map(str, paths))}")
        return
    done = _write(paths, output, density, settings, reporter)
    if json:
        missing = [{"section": title, "reason": reason} for title, reason in done.missing.items()]
        print_json({"runs": [path.name for path in paths], "file": str(done.file), "missing": missing})
    for title, reason in done.missing.items():
        reporter.say(f"Warning: {title}: {reason}")
    reporter.say(f"Wrote {done.file}")
    names = " ".join(shlex.quote(str(path)) for path in paths)
    following = "compare" if len(paths) > 1 else "" if (paths[0] / "metrics.jsonl").exists() else "evaluate"
    reporter.say("Next: open it in a browser" + f"; dime {following} {names}{file_options()}" * bool(following))


def build(words: Sequence[str]) -> Callable[..., None]:
    """The command for the plugins that these words name."""
    line = Line(report, words, KINDS)
    line.settings("report", ReportSettings, "Report", short={"count": "-n"})
    line.plugin("density", lambda: default("density"), "Distribution that samples are drawn from")
    return line.callback()


def _write(paths: Sequence[Path], output: Path | None, density: Any, settings: Any, reporter: Reporter) -> Any:
    from dimecli.machine import set_up

    set_up(settings.threads)
    from dimecli import api

    found = [api.load_run(path, device=settings.device) for path in paths]
    return api.report(found, output, density, n=settings.count, seed=settings.seed, reporter=reporter)
