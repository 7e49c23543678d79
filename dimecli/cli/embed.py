"""`dime embed`: draws the codes of a run in two dimensions."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from dimecli.cli.common import RUNS, AsJson, Config, DryRun, OneRun, Quiet, Runs, print_json
from dimecli.cli.line import Line, Parsed
from dimecli.cli.show import show
from dimecli.console import Reporter
from dimecli.settings import Settings


class EmbedSettings(Settings):
    """The options of `dime embed`; the table [embed] of a TOML file."""

    method: Literal["auto", "codes", "pca", "tsne", "umap"] = Field(
        "auto",
        description="The codes as they are (of 2 dimensions, or of 3 on the sphere), their principal components, "
        "t-SNE or UMAP; auto: as they are, else t-SNE.",
    )
    split: Literal["train", "validation", "test"] = Field("test", description="Where the codes are from.")
    count: int = Field(2000, ge=1, description="How many codes at most, chosen at random.")
    seed: int = Field(0, ge=0, lt=2**63, description="Seed of the choice, and of the method.")
    device: Literal["auto", "cpu", "cuda", "mps"] = Field("auto", description="Where to compute.")
    threads: int | None = Field(None, ge=1, description="CPU threads; default: the physical cores.")


def embed(
    parsed: Parsed,
    *,
    run: OneRun = None,
    config: Config = None,
    runs: Runs = RUNS,
    dry_run: DryRun = False,
    json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Draws codes as points, coloured by class, or by the length of their sentences."""
    from dimecli.run.folder import find_run

    reporter = Reporter(quiet)
    settings: EmbedSettings = parsed.settings("embed")
    path = find_run(run, runs)
    if dry_run:
        print_json({"embed": settings.options()})
        reporter.say(f"Would draw the codes of {path}")
        return
    result = _draw(path, settings)
    (file,) = result["files"]
    if json:
        print_json(result)
    else:
        show(Path(file), reporter)
    reporter.say(f"Wrote {result['n']} codes of {path.name}, method {result['method']}: {file}")
    reporter.say(f"Next: dime evaluate {shlex.quote(str(path))}")


def build(words: Sequence[str]) -> Callable[..., None]:
    """The command for these words."""
    line = Line(embed, words, ())
    line.settings("embed", EmbedSettings, "Embedding", short={"count": "-n"})
    return line.callback()


def _draw(path: Path, settings: EmbedSettings) -> dict[str, Any]:
    """Works, and returns what JSON says of it."""
    from dimecli.machine import set_up

    set_up(settings.threads)
    from dimecli import api
    from dimecli.run.embed import embed as embed_codes
    from dimecli.run.embed import save_embedding

    run = api.load_run(path, device=settings.device)
    found = embed_codes(run, settings.method, settings.split, settings.count, settings.seed)
    about = {"run": path.name, "split": found.split, "method": found.method, "n": len(found.points)}
    return about | {"axes": list(found.axes), "files": [str(save_embedding(run, found))]}
