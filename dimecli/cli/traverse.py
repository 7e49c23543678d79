"""`dime traverse`: decodes what becomes of a code when one dimension changes."""

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


class TraverseSettings(Settings):
    """The options of `dime traverse`; the table [traverse] of a TOML file."""

    start: int | None = Field(
        None, ge=0, description="Place in the split of the sample whose code is changed; default: the mean code."
    )
    dimensions: int = Field(10, ge=1, le=100, description="How many, those along which the codes vary most.")
    steps: int = Field(7, ge=2, le=100, description="Values that each dimension takes.")
    span: float = Field(
        3.0, gt=0, le=10, description="The largest of them, in standard deviations of the codes from their mean."
    )
    split: Literal["train", "validation", "test"] = Field("test", description="Where the codes are from.")
    device: Literal["auto", "cpu", "cuda", "mps"] = Field("auto", description="Where to compute.")
    threads: int | None = Field(None, ge=1, description="CPU threads; default: the physical cores.")


def traverse(
    parsed: Parsed,
    *,
    run: OneRun = None,
    config: Config = None,
    runs: Runs = RUNS,
    dry_run: DryRun = False,
    json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Draws what the dimensions of the codes do; sentences are printed."""
    from dimecli.run.folder import find_run

    reporter = Reporter(quiet)
    settings: TraverseSettings = parsed.settings("traverse")
    path = find_run(run, runs)
    if dry_run:
        print_json({"traverse": settings.options()})
        reporter.say(f"Would traverse the codes of {path}")
        return
    result, lines = _draw(path, settings)
    (file,) = result["files"]
    if json:
        print_json(result)
    elif not quiet:
        print_lines(lines)
        show(Path(file), reporter)
    reporter.say(f"Wrote {len(result['dimensions'])} dimensions of {path.name}: {file}")
    reporter.say(f"Next: dime embed {shlex.quote(str(path))}")


def build(words: Sequence[str]) -> Callable[..., None]:
    """The command for these words."""
    line = Line(traverse, words, ())
    line.settings("traverse", TraverseSettings, "Traversal")
    return line.callback()


def _draw(path: Path, settings: TraverseSettings) -> tuple[dict[str, Any], list[str]]:
    """Works; returns what JSON says of it, and the lines that sentences make."""
    from dimecli.machine import set_up

    set_up(settings.threads)
    from dimecli import api
    from dimecli.run.traverse import save_traversal, traversed_sentences
    from dimecli.run.traverse import traverse as decode_along

    run = api.load_run(path, device=settings.device)
    found = decode_along(run, settings.start, settings.dimensions, settings.steps, settings.span, settings.split)
    rows: list[dict[str, Any]] = [
        {"dimension": d, "std": std} for d, std in zip(found.dimensions.tolist(), found.std.tolist(), strict=True)
    ]
    result = {"run": path.name, "split": found.split, "start": found.start, "offsets": found.offsets.tolist()}
    files = {"files": [str(save_traversal(run, found))]}
    if run.model.spec.modality != "sentence":
        return result | {"dimensions": rows} | files, []
    rows = [{**row, "decoded": api.texts(run, x)} for row, x in zip(rows, found.x, strict=True)]
    return result | {"dimensions": rows} | files, list(traversed_sentences(run, found))
