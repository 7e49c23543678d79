"""`dime interpolate`: decodes the codes between those of pairs of samples."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from dimecli.cli.common import RUNS, AsJson, Config, DryRun, OneRun, Quiet, Runs, print_json, print_lines
from dimecli.cli.line import Line, Parsed
from dimecli.cli.show import show
from dimecli.console import Reporter
from dimecli.settings import Settings


class InterpolateSettings(Settings):
    """The options of `dime interpolate`; the table [interpolate] of a TOML file."""

    pairs: int = Field(8, ge=1, le=100, description="Pairs of samples, chosen at random.")
    steps: int = Field(11, ge=2, le=100, description="Codes from one sample to the other, both with them.")
    path: Literal["spherical", "linear"] = Field(
        "spherical", description="Turn evenly from one direction to the other (slerp), or go straight."
    )
    split: Literal["train", "validation", "test"] = Field("test", description="Where the samples are from.")
    seed: int = Field(0, ge=0, lt=2**63, description="Seed of the choice.")
    device: Literal["auto", "cpu", "cuda", "mps"] = Field("auto", description="Where to compute.")
    threads: int | None = Field(None, ge=1, description="CPU threads; default: the physical cores.")


def interpolate(
    parsed: Parsed,
    *,
    run: OneRun = None,
    config: Config = None,
    runs: Runs = RUNS,
    dry_run: DryRun = False,
    json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Draws what lies between samples; sentences are printed."""
    from dimecli.run.folder import find_run

    reporter = Reporter(quiet)
    settings: InterpolateSettings = parsed.settings("interpolate")
    path = find_run(run, runs)
    if dry_run:
        print_json({"interpolate": settings.options()})
        reporter.say(f"Would interpolate between samples of {path}")
        return
    result, lines = _draw(path, settings)
    (file,) = result["files"]
    if json:
        print_json(result)
    elif not quiet:
        print_lines(lines)
        show(Path(file), reporter)
    reporter.say(f"Wrote {settings.path} interpolations between {settings.pairs} pairs of {path.name}: {file}")
    reporter.say(f"Next: dime traverse {shlex.quote(str(path))}")


def build(words: Sequence[str]) -> Callable[..., None]:
    """The command for these words."""
    line = Line(interpolate, words, ())
    line.settings("interpolate", InterpolateSettings, "Interpolation")
    return line.callback()


def _draw(path: Path, settings: InterpolateSettings) -> tuple[dict[str, Any], list[str]]:
    """Works; returns what JSON says of it, and the lines that sentences make."""
    from dimecli.machine import set_up

    set_up(settings.threads)
    from dimecli import api
    from dimecli.run.interpolate import interpolate as decode_between
    from dimecli.run.interpolate import interpolated_sentences, save_interpolation

    run = api.load_run(path, device=settings.device)
    found = decode_between(run, settings.pairs, settings.steps, settings.path, settings.split, settings.seed)
    result = {"run": path.name, "split": found.split, "path": found.path, "pairs": found.indices.tolist()}
    files = {"files": [str(save_interpolation(run, found))]}
    if run.model.spec.modality != "sentence":
        return result | files, []
    ends = [api.texts(run, end) for end in found.ends.unbind(1)]
    between = [api.texts(run, x) for x in found.x]
    sentences = [
        {"start": start, "decoded": decoded, "end": end}
        for start, decoded, end in zip(ends[0], between, ends[1], strict=True)
    ]
    return result | {"sentences": sentences} | files, list(interpolated_sentences(run, found))
