"""`dime nearest`: draws samples, and shows the training samples that are nearest to each."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from dimecli.cli.common import RUNS, AsJson, Config, DryRun, OneRun, Quiet, Runs, print_json, print_table
from dimecli.cli.line import Line
from dimecli.cli.parsed import Parsed
from dimecli.cli.show import show
from dimecli.console import Reporter, printable
from dimecli.defaults import default
from dimecli.plugin import Density
from dimecli.registry import entry_of, file_options
from dimecli.settings import Settings

if TYPE_CHECKING:
    from dimecli.api import Drawn, Run
    from dimecli.run.nearest import Nearest

KINDS = ("density",)


class NearestSettings(Settings):
    """The options of `dime nearest` that belong to no plugin; the table [nearest] of a TOML file."""

    count: int = Field(16, ge=1, description="Samples to draw; of a grammar different ones, where it gives as many.")
    neighbours: int = Field(5, ge=1, description="Training samples to show of each, the nearest first.")
    seed: int = Field(0, ge=0, lt=2**63, description="Seed of the draws.")
    device: Literal["auto", "cpu", "cuda", "mps"] = Field("auto", description="Where to compute.")
    threads: int | None = Field(None, ge=1, description="CPU threads; default: the physical cores.")


def nearest(
    parsed: Parsed,
    *,
    run: OneRun = None,
    config: Config = None,
    runs: Runs = RUNS,
    dry_run: DryRun = False,
    json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Draws samples of a run, finds what is nearest in the training data, and shows it."""
    from dimecli.run.folder import find_run

    reporter = Reporter(quiet)
    density, settings = parsed.settings("density"), parsed.settings("nearest")
    name = entry_of(density).name
    path = find_run(run, runs)
    if dry_run:
        print_json({"density": {"name": name, **density.options()}, "nearest": settings.options()})
        reporter.say(f"Would draw from {path}, and search its training samples")
        return
    result = _search(path, density, settings, reporter)
    if json:
        print_json(result)
    elif not quiet and not result["files"]:
        print_table(("sample", "edits", "nearest training sentences"), _rows(result))
    distances = sorted(found["neighbours"][0]["distance"] for found in result["nearest"])
    reporter.say(
        f"{result['n']} samples of {path.name}, density {name}: {distances[0]:.4g} to {distances[-1]:.4g} "
        f"{'edits ' * (not result['files'])}from the nearest training sample"
        + "".join(f"; wrote {file}" for file in result["files"])
    )
    again = f"dime evaluate {shlex.quote(str(path))} --density {name}{file_options()}"
    reporter.say(f"Next, to measure these samples: {again}")
    if not json:
        for file in result["files"]:
            show(Path(file), reporter)


def build(words: Sequence[str]) -> Callable[..., None]:
    """The command for the plugins that these words name."""
    line = Line(nearest, words, KINDS)
    line.settings("nearest", NearestSettings, "Neighbours", short={"count": "-n"})
    line.plugin("density", lambda: default("density"), "Distribution to draw from")
    return line.callback()


def _search(path: Path, density: Density, settings: NearestSettings, reporter: Reporter) -> dict[str, Any]:
    """Works, and returns what JSON says of it."""
    from dimecli.machine import set_up

    set_up(settings.threads)
    from dimecli import api
    from dimecli.run.nearest import nearest, save_nearest

    run = api.load_run(path, device=settings.device)

    def draw(count: int) -> Drawn:
        return run.sample(count, density, settings.seed, reporter=reporter)

    sentences = run.model.spec.modality == "sentence"
    drawn = api.first_different(run, settings.count, draw)[0] if sentences else draw(settings.count)
    found = nearest(run, drawn, settings.neighbours)
    return {
        "run": path.name,
        "density": entry_of(density).name,
        "n": len(drawn.x),
        "neighbours": settings.neighbours,
        "files": [] if sentences else [str(save_nearest(run, found))],
        "nearest": _with_sentences(run, found) if sentences else _found(found),
    }


def _found(found: Nearest) -> list[dict[str, Any]]:
    """Places and distances of the neighbours of every sample."""
    pairs = zip(found.indices.tolist(), found.distances.tolist(), strict=True)
    return [
        {"neighbours": [{"index": index, "distance": distance} for index, distance in zip(*row, strict=True)]}
        for row in pairs
    ]


def _with_sentences(run: Run, found: Nearest) -> list[dict[str, Any]]:
    """The same, and what the samples and their neighbours say."""
    from dimecli.api import texts

    neighbours = texts(run, found.neighbours(run).flatten(0, 1))
    k = found.indices.shape[1]
    return [
        {
            "sentence": sentence,
            "neighbours": [
                {**one, "sentence": text} for one, text in zip(row["neighbours"], neighbours[k * at :], strict=False)
            ],
        }
        for at, (sentence, row) in enumerate(zip(texts(run, found.drawn.x), _found(found), strict=True))
    ]


def _rows(result: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """A row of the table for every neighbour; the sample itself stands in the first of its own."""
    for found in result["nearest"]:
        sample = "(incomplete)" if found["sentence"] is None else printable(found["sentence"])
        for one in found["neighbours"]:
            yield sample, f"{one['distance']:.0f}", printable(one["sentence"])
            sample = ""
