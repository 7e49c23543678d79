"""`dime sample`: fits a density to the codes of a run, draws from it and decodes."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field

from dimecli.cli.common import RUNS, AsJson, Config, DryRun, OneRun, Quiet, Runs, print_json
from dimecli.cli.line import Line, Parsed
from dimecli.console import Reporter
from dimecli.plugin import Density
from dimecli.registry import entry_of
from dimecli.settings import Settings

KINDS = ("density",)


class SampleSettings(Settings):
    """The options of `dime sample` that belong to no plugin; the table [sample] of a TOML file."""

    count: int = Field(64, ge=1, description="Samples to draw.")
    seed: int = Field(0, ge=0, lt=2**63, description="Seed of the draws.")
    project: bool | None = Field(
        None,
        description="Put drawn codes on the unit sphere; unless given, only where the latent space is the sphere.",
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = Field("auto", description="Where to compute.")
    threads: int | None = Field(None, ge=1, description="CPU threads; default: the physical cores.")


def sample(
    parsed: Parsed,
    *,
    run: OneRun = None,
    config: Config = None,
    runs: Runs = RUNS,
    dry_run: DryRun = False,
    json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Draws samples from a run, writes them and says where."""
    from dimecli.run.folder import find_run

    reporter = Reporter(quiet)
    density, settings = parsed.settings("density"), parsed.settings("sample")
    name = entry_of(density).name
    path = find_run(run, runs)
    if dry_run:
        print_json({"density": {"name": name, **density.options()}, "sample": settings.options()})
        reporter.say(f"Would draw from {path}")
        return
    files = _draw(path, density, settings)
    if json:
        written = [str(file) for file in files]
        print_json({"run": path.name, "density": name, "n": settings.count, "files": written})
    reporter.say(f"Wrote {settings.count} samples of {path.name}, density {name}: {', '.join(map(str, files))}")
    other = "gaussian" if name == "gmm" else "gmm"
    again = f"dime sample {shlex.quote(str(path))} --density {other}"
    reporter.say(f"Next: {again}, to compare; 'dime plugins' lists every density")


def build(words: Sequence[str]) -> Callable[..., None]:
    """The command for the plugins that these words name."""
    line = Line(sample, words, KINDS)
    line.settings("sample", SampleSettings, "Sampling", short={"count": "-n"})
    line.plugin("density", "gmm", "Distribution to fit to the codes")
    return line.callback()


def _draw(path: Path, density: Density, settings: SampleSettings) -> list[Path]:
    from dimecli.machine import set_up

    set_up(settings.threads)
    from dimecli import api

    run = api.load_run(path, device=settings.device)
    return api.save_samples(run, run.sample(settings.count, density, settings.seed, settings.project))
