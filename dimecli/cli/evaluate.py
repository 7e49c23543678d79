"""`dime evaluate`: measures a run, and keeps every number with its conditions."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from dimecli.cli.common import RUNS, AsJson, Config, DryRun, OneRun, Quiet, Runs, print_json
from dimecli.cli.line import Line
from dimecli.cli.measured import print_measured
from dimecli.cli.parsed import Parsed
from dimecli.console import Reporter
from dimecli.defaults import default
from dimecli.errors import DimeError, UserError
from dimecli.registry import entry_of, file_options
from dimecli.settings import Settings

if TYPE_CHECKING:
    from dimecli.evaluation.evaluate import Evaluation

KINDS = ("metric", "density")
_SLOW = 1.0  # seconds of which the user is told
_MANY = 1000  # images that take long where each pixel is a step of its own


class EvaluateSettings(Settings):
    """The options of `dime evaluate` that belong to no plugin; the table [evaluate] of a TOML file."""

    count: int = Field(10_000, ge=1, description="Samples to draw, and samples of the split to look at.")
    split: Literal["train", "validation", "test"] = Field("test", description="The samples to compare with.")
    seed: int = Field(0, ge=0, lt=2**63, description="Seed of the choice of samples and of all draws.")
    device: Literal["auto", "cpu", "cuda", "mps"] = Field("auto", description="Where networks compute.")
    threads: int | None = Field(None, ge=1, description="CPU threads; default: the physical cores.")


def evaluate(
    parsed: Parsed,
    *,
    run: OneRun = None,
    config: Config = None,
    runs: Runs = RUNS,
    dry_run: DryRun = False,
    json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Measures, prints what was found, and tells what was not and why."""
    from dimecli.run.folder import find_run

    reporter = Reporter(quiet)
    density, settings = parsed.settings("density"), parsed.settings("evaluate")
    metrics, every = parsed.several("metric"), "metric" in parsed.everything
    for note in parsed.notes:
        reporter.say(f"Warning: {note}")
    path = find_run(run, runs)
    if dry_run:
        chosen = {name: metric.options() for name, metric in metrics.items()}
        tables = {"density": {"name": entry_of(density).name, **density.options()}, "evaluate": settings.options()}
        print_json({"metric": {"name": "all" if every else ",".join(metrics), **chosen}, **tables})
        reporter.say(f"Would measure {path}")
        return
    done = _measure(path, metrics, density, settings, reporter)
    if json:
        print_json({"run": path.name, "metrics": [entry.as_json() for entry in done.entries]})
    elif not quiet:
        print_measured(done.entries)
    _tell(done, path, reporter, every)


def build(words: Sequence[str]) -> Callable[..., None]:
    """The command for the plugins that these words name."""
    line = Line(evaluate, words, KINDS)
    line.settings("evaluate", EvaluateSettings, "Evaluation", short={"count": "-n"})
    line.plugin("density", lambda: default("density"), "Distribution that samples are drawn from")
    line.plugins("metric", "all", "What to measure; all: whatever the run has", more=("all",))
    return line.callback()


def _measure(path: Path, metrics: dict[str, Any], density: Any, settings: Any, reporter: Reporter) -> Evaluation:
    from dimecli.machine import set_up

    set_up(settings.threads)
    from dimecli import api
    from dimecli.run.decoding import AUTO

    run = api.load_run(path, device=settings.device)
    if run.model.spec.modality == "image" and AUTO.of(run.model).draws and settings.count > _MANY:
        reporter.say(f"Note: this run makes images pixel after pixel, so -n {settings.count} takes long; try -n 500")
    return api.evaluate(
        run, metrics, density, n=settings.count, split=settings.split, seed=settings.seed, reporter=reporter
    )


def _tell(done: Evaluation, path: Path, reporter: Reporter, every: bool) -> None:
    """Says where the time went, what was written, and what could not be measured.

    Raises:
        UserError, DimeError: some metric gave no number, or one that was named does not apply.
    """
    slow = sorted(((seconds, name) for name, seconds in done.seconds.items() if seconds >= _SLOW), reverse=True)
    if slow:
        reporter.say(f"Seconds: {', '.join(f'{name} {seconds:.0f}' for seconds, name in slow)}")
    failures = done.failures
    if every:
        for name, reason in done.left_out.items():
            reporter.say(f"Left out: {name}: {reason}")
    else:
        failures = failures | {name: UserError(reason) for name, reason in done.left_out.items()}
    if done.entries:
        wrote = ", ".join(map(str, [path / "metrics.jsonl", *done.files]))
        reporter.say(f"Wrote {wrote}")
    for name, error in failures.items():
        Reporter().say(f"Warning: {name}: {error}")  # of what went wrong, a quiet command tells, too
    if failures:
        kind = UserError if all(isinstance(error, UserError) for error in failures.values()) else DimeError
        raise kind(f"--metric: no number of {', '.join(failures)}; the reasons are above")
    reporter.say(f"Next: dime report {shlex.quote(str(path))}{file_options()}")
