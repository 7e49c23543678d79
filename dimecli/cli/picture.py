"""Commands that make one picture of one run, or print its sentences, and do nothing else."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from dimecli.cli.common import RUNS, AsJson, Config, DryRun, OneRun, Quiet, Runs, print_json, print_lines
from dimecli.cli.line import Line
from dimecli.cli.parsed import Parsed
from dimecli.cli.show import show
from dimecli.console import Reporter
from dimecli.registry import file_options
from dimecli.settings import Settings

if TYPE_CHECKING:
    from dimecli.api import Run


class PictureSettings(Settings):
    """What the options of all such commands have."""

    split: Literal["train", "validation", "test"] = Field("test", description="Where the samples are from.")
    device: Literal["auto", "cpu", "cuda", "mps"] = Field("auto", description="Where to compute.")
    threads: int | None = Field(None, ge=1, description="CPU threads; default: the physical cores.")


@dataclass(frozen=True)
class Picture:
    """What was made.

    Args:
        file: The picture, or the sentences.
        said: What is in it and of which run, for the closing line.
        result: What JSON says of it, besides the run, the split and the file.
        lines: To print, where the run is of sentences.
    """

    file: Path
    said: str
    result: Mapping[str, Any]
    lines: Sequence[str] = ()


def picture_command(
    name: str,
    settings: type[PictureSettings],
    panel: str,
    draw: Callable[[Run, Any], Picture],
    following: str,
    short: Mapping[str, str] | None = None,
) -> Callable[[Sequence[str]], Callable[..., None]]:
    """The `build` of a command.

    Args:
        name: Of the command, and of its table in a TOML file.
        settings: Its options.
        panel: The head of these in its help.
        draw: Makes and writes the picture.
        following: The command that is proposed next.
        short: One-letter flags by option.
    """

    def work(
        parsed: Parsed,
        *,
        run: OneRun = None,
        config: Config = None,
        runs: Runs = RUNS,
        dry_run: DryRun = False,
        json: AsJson = False,
        quiet: Quiet = False,
    ) -> None:
        from dimecli.run.folder import find_run

        reporter, chosen = Reporter(quiet), parsed.settings(name)
        path = find_run(run, runs)
        if dry_run:
            print_json({name: chosen.options()})
            reporter.say(f"Would {name} {path}")
            return
        made = _make(path, chosen, draw)
        if json:
            print_json({"run": path.name, "split": chosen.split, **made.result, "files": [str(made.file)]})
        elif not quiet:
            print_lines(made.lines)
            show(made.file, reporter)
        reporter.say(f"Wrote {made.said}: {made.file}")
        reporter.say(f"Next: dime {following} {shlex.quote(str(path))}{file_options()}")

    def build(words: Sequence[str]) -> Callable[..., None]:
        line = Line(work, words, ())
        line.settings(name, settings, panel, short=short)
        return line.callback()

    return build


def _make(path: Path, settings: PictureSettings, draw: Callable[[Run, Any], Picture]) -> Picture:
    from dimecli.machine import set_up

    set_up(settings.threads)
    from dimecli import api

    return draw(api.load_run(path, device=settings.device), settings)
