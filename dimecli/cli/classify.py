"""`dime classify`: sees what the codes of a run know of the classes."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from dimecli.cli.another import another
from dimecli.cli.common import RUNS, AsJson, Config, DryRun, OneRun, Quiet, Runs, print_json
from dimecli.cli.line import Line
from dimecli.cli.measured import print_measured
from dimecli.cli.parsed import Parsed
from dimecli.console import Reporter
from dimecli.defaults import default
from dimecli.plugin import Classifier
from dimecli.registry import entry_of, file_options
from dimecli.settings import Settings

if TYPE_CHECKING:
    from dimecli.api import Classified

KINDS = ("classifier",)


class ClassifySettings(Settings):
    """The options of `dime classify` that belong to no plugin; the table [classify] of a TOML file."""

    repeats: int = Field(5, ge=1, description="Fits to average over; a classifier that draws nothing is fitted once.")
    seed: int = Field(0, ge=0, lt=2**63, description="Seed of the fits.")
    standardize: bool = Field(
        True, description="Subtract the mean of the training codes, and divide by their standard deviation."
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = Field("auto", description="Where networks encode.")
    threads: int | None = Field(None, ge=1, description="CPU threads; default: the physical cores.")


def classify(
    parsed: Parsed,
    *,
    run: OneRun = None,
    config: Config = None,
    runs: Runs = RUNS,
    dry_run: DryRun = False,
    json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Fits a classifier to the training codes, and says how many test codes it tells right."""
    from dimecli.run.folder import find_run

    reporter = Reporter(quiet)
    classifier, settings = parsed.settings("classifier"), parsed.settings("classify")
    name = entry_of(classifier).name
    path = find_run(run, runs)
    if dry_run:
        print_json({"classifier": {"name": name, **classifier.options()}, "classify": settings.options()})
        reporter.say(f"Would classify the codes of {path}")
        return
    found = _classify(path, classifier, settings, reporter)
    if json:
        repeats = len(found.accuracies)
        told = {"accuracy": found.entry.value, "std": found.std, "repeats": repeats, "split": "test"}
        print_json({"run": path.name, "classifier": name, **told, "chance": found.chance})
    elif not quiet:
        print_measured([found.entry])
    if not classifier.random and "--repeats" in parsed.typed:
        reporter.say(f"Note: {name} draws nothing: it is fitted once")
    reporter.say(f"Wrote {found.file}, {path / 'metrics.jsonl'}")
    if choice := another("classifier", name):
        reporter.say(f"Next, to compare: dime classify {shlex.quote(str(path))}{choice}{file_options()}")


def build(words: Sequence[str]) -> Callable[..., None]:
    """The command for the plugins that these words name."""
    line = Line(classify, words, KINDS)
    line.preset(line.entry("classifier", lambda: default("classifier")))
    line.settings("classify", ClassifySettings, "Classification")
    line.plugin("classifier", lambda: default("classifier"), "What is fitted to the codes")
    return line.callback()


def _classify(path: Path, classifier: Classifier, settings: ClassifySettings, reporter: Reporter) -> Classified:
    from dimecli.machine import set_up

    set_up(settings.threads)
    from dimecli import api

    run = api.load_run(path, device=settings.device)
    return api.classify(
        run,
        classifier,
        repeats=settings.repeats,
        seed=settings.seed,
        standardize=settings.standardize,
        reporter=reporter,
    )
