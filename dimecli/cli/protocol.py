"""`dime bo --protocol NAME`: repeats a published comparison."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pydantic import Field

from dimecli.cli.common import RUNS, DryRun, Quiet, Runs, print_json
from dimecli.cli.line import Line
from dimecli.cli.parsed import Parsed
from dimecli.console import Reporter
from dimecli.registry import entry_of
from dimecli.settings import Settings

KINDS = ("protocol",)


class ProtocolSettings(Settings):
    """How a protocol runs."""

    threads: int | None = Field(None, ge=1, description="CPU threads; default: the physical cores.")


def run(parsed: Parsed, *, runs: Runs = RUNS, dry_run: DryRun = False, quiet: Quiet = False) -> None:
    """Trains and measures what is not there yet, and prints the table in Markdown."""
    reporter = Reporter(quiet)
    protocol, settings = parsed.settings("protocol"), parsed.settings("bo")
    name = entry_of(protocol).name
    folder = runs / "-".join([name, *(option for option, value in protocol.options().items() if value is True)])
    if dry_run:
        print_json({"protocol": {"name": name, **protocol.options()}})
        reporter.say(f"Would work in {folder}")
        return
    from dimecli.machine import set_up

    set_up(settings.threads)
    from dimecli.run.files import write_atomic
    from dimecli.search.lab import open_lab

    reporter.say(f"Works in {folder}; the same command goes on where it was interrupted")
    with open_lab(folder, protocol, reporter) as lab:
        text = protocol.run(lab)
        file = write_atomic(folder / "report.md", lambda file: file.write_text(text, encoding="utf-8"))
    print(text)
    reporter.say(f"Wrote {file}")


def build(words: Sequence[str]) -> Callable[..., None]:
    """The command for the protocol that these words name."""
    line = Line(run, words, KINDS)
    line.plugin("protocol", str, "Published comparison to repeat")
    line.settings("bo", ProtocolSettings, "Protocol")
    return line.callback()
