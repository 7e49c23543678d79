"""`dime sample`: fits a density to the codes of a run, draws from it and decodes."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from pydantic import Field

from dimecli.cli.another import another
from dimecli.cli.common import RUNS, AsJson, Config, DryRun, OneRun, Quiet, Runs, print_json, print_lines
from dimecli.cli.line import Line
from dimecli.cli.parsed import Parsed
from dimecli.cli.show import show
from dimecli.console import Reporter
from dimecli.defaults import default
from dimecli.errors import UserError
from dimecli.plugin import Density
from dimecli.registry import entry_of, file_options
from dimecli.run.decoding import Decoding

if TYPE_CHECKING:
    from dimecli.api import Drawn, Rates

KINDS = ("density",)

Output = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="FILE", dir_okay=False, help="Write sentences there, not to stdout."),
]


class SampleSettings(Decoding):
    """The options of `dime sample` that belong to no plugin; the table [sample] of a TOML file."""

    count: int = Field(64, ge=1, description="Samples to draw.")
    seed: int = Field(0, ge=0, lt=2**63, description="Seed of the draws.")
    project: bool | None = Field(
        None,
        description="Put drawn codes on the unit sphere; unless given, only where the latent space is the sphere.",
    )
    distinct: bool = Field(
        True, description="Of a grammar: draw until there are so many different complete sentences; at most 16 times."
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = Field("auto", description="Where to compute.")
    threads: int | None = Field(None, ge=1, description="CPU threads; default: the physical cores.")


def sample(
    parsed: Parsed,
    *,
    run: OneRun = None,
    output: Output = None,
    config: Config = None,
    runs: Runs = RUNS,
    dry_run: DryRun = False,
    json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Draws samples from a run, writes them and says where; sentences are printed."""
    from dimecli.run.folder import find_run

    reporter = Reporter(quiet)
    density, settings = parsed.settings("density"), parsed.settings("sample")
    name = entry_of(density).name
    path = find_run(run, runs)
    if dry_run:
        print_json({"density": {"name": name, **density.options()}, "sample": settings.options()})
        reporter.say(f"Would draw from {path}")
        return
    result = _draw(path, density, settings, output, json or quiet, reporter)
    if json:
        print_json(result)
    else:
        show(Path(result["files"][0]), reporter)
    reporter.say(f"Wrote {result['n']} samples of {path.name}, density {name}: {', '.join(result['files'])}")
    if choice := another("density", name):
        again = f"dime sample {shlex.quote(str(path))}{choice}{file_options()}"
        reporter.say(f"Next, to compare: {again}; 'dime plugins list density' lists every density")


def build(words: Sequence[str]) -> Callable[..., None]:
    """The command for the plugins that these words name."""
    line = Line(sample, words, KINDS)
    line.settings("sample", SampleSettings, "Sampling", short={"count": "-n"})
    line.plugin("density", lambda: default("density"), "Distribution to fit to the codes")
    return line.callback()


def _draw(
    path: Path, density: Density, settings: SampleSettings, output: Path | None, silent: bool, reporter: Reporter
) -> dict[str, Any]:
    """Draws, writes, and prints sentences unless silent; returns what JSON says of it."""
    from dimecli.machine import set_up

    set_up(settings.threads)
    from dimecli import api

    run = api.load_run(path, device=settings.device)

    def draw(count: int) -> Drawn:
        return run.sample(count, density, settings.seed, settings.project, settings, reporter)

    about = {"run": path.name, "density": entry_of(density).name}
    if run.model.spec.modality != "sentence":
        if output:
            raise UserError(f"--output {output}: run {path.name} gives no sentences; samples go to {path / 'samples'}")
        drawn = draw(settings.count)
        return {**about, "n": len(drawn.x), "files": [str(file) for file in api.save_samples(run, drawn)]}
    if settings.distinct:
        kept, drawn = api.first_different(run, settings.count, draw)
    else:
        kept = drawn = draw(settings.count)
    files = [str(file) for file in api.save_samples(run, kept)]
    _tell_rates(rates := api.rates(run, drawn.x), len(drawn.x), reporter)
    sentences = [text for text in api.texts(run, kept.x) if text is not None]
    if output is not None:
        reporter.say(f"Wrote {api.write_sentences(output, sentences)}")
    elif not silent:
        print_lines(sentences)
    return {**about, "n": len(kept.x), "files": files, "sentences": sentences, **asdict(rates)}


def _tell_rates(rates: Rates, draws: int, reporter: Reporter) -> None:
    told = (f"{name} {'unknown' if rate is None else f'{rate:.1%}'}" for name, rate in asdict(rates).items())
    reporter.say(f"Of {draws} draws: {', '.join(told)}")
    if rates.novel is None:
        reporter.say("Note: which are novel is unknown, because the training sentences are gone or have changed")
