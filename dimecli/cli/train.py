"""`dime train`: trains an autoencoder and writes a run."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dimecli.cli.common import RUNS, AsJson, Config, DryRun, Quiet, Runs, complete_run, print_json
from dimecli.cli.line import Line
from dimecli.cli.parsed import Parsed
from dimecli.console import Reporter
from dimecli.defaults import Role, default
from dimecli.distributed import rank
from dimecli.errors import UserError
from dimecli.registry import file_options
from dimecli.training.settings import TrainSettings

if TYPE_CHECKING:
    from dimecli.api import Run

KINDS = ("objective", "dataset", "network", "tracker")
_NEGLIGIBLE = 0.005  # share of the gradient

Resume = Annotated[
    str | None,
    typer.Option(
        metavar="RUN", help="Continue a run that was interrupted, with its own options.", autocompletion=complete_run
    ),
]


def train(
    parsed: Parsed,
    *,
    config: Config = None,
    resume: Resume = None,
    runs: Runs = RUNS,
    dry_run: DryRun = False,
    json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Trains a new run, or continues one, and says what came out."""
    reporter = Reporter(quiet or rank() > 0)
    if resume is not None:
        own = {"--config": config, "--dry-run": dry_run}
        _refuse_with_resume([*parsed.typed, *(flag for flag, value in own.items() if value)])
        _report(_resume(resume, runs, reporter), reporter, json)
    elif dry_run:
        from dimecli.training.experiment import Experiment

        print_json(Experiment(**_parts(parsed), train=parsed.settings("train")).config())
    else:
        _report(_start(parsed, runs, reporter), reporter, json)


def build(words: Sequence[str]) -> Callable[..., None]:
    """The command for the plugins that these words name."""
    line = Line(train, words, KINDS, positional="objective")
    line.preset(line.entry("objective", lambda: default("objective")))
    line.settings("train", TrainSettings, "Training")
    line.plugin("objective", lambda: default("objective"), "What to train for")
    role: Role = "sentences" if line.gives("dataset", "grammar") else "dataset"
    text = "Samples to train on, sentences where --grammar is given"
    dataset: Any = line.plugin("dataset", lambda: default(role), text).plugin
    line.plugin("network", dataset.fitting_network, "Encoder and decoder, those of the dataset unless named")
    line.plugins("tracker", "none", "What is told the numbers of history.jsonl while they come", more=("none",))
    return line.callback()


def _parts(parsed: Parsed) -> dict[str, Any]:
    """The chosen plugins, as parts of an experiment."""
    plugins = {kind: parsed.settings(kind) for kind in ("objective", "dataset", "network")}
    _ = plugins["dataset"].language  # a grammar that is not there is told before anything heavy is imported
    return {**plugins, "trackers": parsed.several("tracker")}


def _refuse_with_resume(ignored: Sequence[str]) -> None:
    if ignored:
        raise UserError(f"--resume continues a run with its own options; drop {', '.join(ignored)}")


def _start(parsed: Parsed, runs: Path, reporter: Reporter) -> Run:
    from dimecli.machine import set_up

    parts, settings = _parts(parsed), parsed.settings("train")
    trackers = list(parts.pop("trackers").values())
    set_up(settings.threads)
    from dimecli import api

    return api.train(**parts, trackers=trackers, settings=settings, runs=runs, reporter=reporter)


def _resume(run: str, runs: Path, reporter: Reporter) -> Run:
    from dimecli.machine import set_up
    from dimecli.run.folder import find_run, read_record

    path = find_run(run, runs)
    set_up(read_record(path)["machine"]["threads"])  # another number would give other bits
    from dimecli import api

    return api.resume(path, reporter=reporter)


def _report(run: Run, reporter: Reporter, as_json: bool) -> None:
    results = run.results
    if as_json and rank() == 0:
        print_json({"run": run.path.name, "seconds": results["seconds"], "terms": results["terms"]})
    terms = ", ".join(f"{name} {value:.4g}" for name, value in results["terms"].items())
    noise = "" if run.noise is None else f"; the noise of x has standard deviation {run.noise:.4g}"
    reporter.say(f"Wrote {run.path} in {results['seconds']:.1f} s; on validation: {terms}{noise}")
    if len(shares := results["gradient_share"]) > 1:
        told = ", ".join(f"{name} {share:.2%}" for name, share in shares.items())
        reporter.say(f"Share of the encoder's gradient: {told}")
        for name, share in shares.items():
            if share < _NEGLIGIBLE:
                reporter.say(f"Warning: '{name}' has almost no gradient, so it does nothing to the codes")
    for note in run.notes:
        reporter.say(f"Warning: {note}")
    reporter.say(f"Next: dime sample {shlex.quote(str(run.path))}{file_options()}")
