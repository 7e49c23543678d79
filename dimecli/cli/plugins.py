"""`dime plugins`: lists the plugins, shows what each can be told, checks what each promises, and writes new ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from dimecli.cli.common import AsJson, print_json, print_table
from dimecli.cli.describe import COLUMNS, description, markdown, preset_lines, summary
from dimecli.cli.options import completer
from dimecli.console import Reporter
from dimecli.entry import Entry
from dimecli.errors import UserError, did_you_mean
from dimecli.plugin import KINDS
from dimecli.registry import add_file, canonical, registered

if TYPE_CHECKING:
    from dimecli.testing import Finding

app = typer.Typer()

_MARKS = {True: "holds", False: "BROKEN", None: "untried"}


def complete_name(incomplete: str) -> list[str]:
    """What a shell offers for a plugin."""
    return completer({entry.name for kind in KINDS for entry in registered(kind)} | {*KINDS})(incomplete)


def complete_kind(incomplete: str) -> list[str]:
    """What a shell offers for a kind."""
    return completer(KINDS)(incomplete)


Words = Annotated[list[str], typer.Argument(metavar="[KIND] NAME", help="The plugin.", autocompletion=complete_name)]
Checked = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[KIND] [NAME|FILE.py]",
        help="The plugin, or a Python file with plugins; unless given, all that are not dimecli's own.",
        autocompletion=complete_name,
    ),
]
Kind = Annotated[str, typer.Argument(metavar="KIND", help=f"One of {', '.join(KINDS)}.", autocompletion=complete_kind)]
OneKind = Annotated[
    str | None, typer.Argument(metavar="[KIND]", help="Only plugins of this kind.", autocompletion=complete_kind)
]
License = Literal["mit", "apache-2.0", "bsd-3-clause", "none"]


@app.command("list")
def list_command(kind: OneKind = None, json: AsJson = False) -> None:
    """List every plugin: its kind, name, distribution and summary, or why it does not work."""
    kinds = KINDS if kind is None else [_kind(kind)]
    rows = [summary(entry) for kind in kinds for entry in registered(kind)]
    if json:
        print_json(rows)
        return
    columns = ("kind", "name", "origin", "summary")
    print_table(columns, ([_cell(row, column) for column in columns] for row in rows))
    Reporter().say("Next: dime plugins show NAME")


@app.command("show")
def show_command(
    words: Words,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print a page of documentation.")] = False,
    json: AsJson = False,
) -> None:
    """Show a plugin: what it does, its options and its presets."""
    described = [description(entry) for entry in _matches("show", words)]
    if json:
        print_json(described)
    elif as_markdown:
        print("\n".join(map(markdown, described)), end="")
    else:
        for number, plugin in enumerate(described):
            print("\n" * (number > 0), end="")
            _print_shown(plugin)


def _print_shown(plugin: dict[str, Any]) -> None:
    print(f"{plugin['kind']} '{plugin['name']}' of {plugin['origin']}: {plugin['use']}\n\n{plugin['doc']}\n")
    if plugin["error"]:
        print(f"BROKEN: {plugin['error']}\n")
    if plugin["options"]:
        print_table(COLUMNS, ([option[column] for column in COLUMNS] for option in plugin["options"]))
    else:
        print("It has no options.")
    for name, settings in preset_lines(plugin["presets"]):
        print(f"\npreset '{name}': {settings}")


@app.command("check")
def check_command(
    words: Checked = None,
    dist: Annotated[str | None, typer.Option(metavar="NAME", help="All plugins of this distribution.")] = None,
    json: AsJson = False,
) -> None:
    """Try what plugins promise, on tiny data: what holds, what does not, and the cure. Exits 1 if any is broken."""
    from dimecli.testing import findings_of

    entries = _to_check(words or [], dist)
    results = []
    broken = 0
    for entry in entries:
        findings = findings_of(entry)
        results.append(_result(entry, findings))
        broken += sum(finding.held is False for finding in findings)
        if not json:
            _print_findings(entry, findings)
    if json:
        print_json(results)
    total = sum(len(result["promises"]) for result in results)
    untried = sum(promise["held"] is None for result in results for promise in result["promises"])
    left = f"; {untried} could not be tried" * bool(untried)
    are = "is" if broken == 1 else "are"
    Reporter().say(f"{broken or 'None'} of {total} promises {are if broken else 'is'} broken{left}")
    if broken:
        raise typer.Exit(1)


@app.command("new")
def new_command(
    kind: Kind,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Small letters, digits and hyphens.")],
    folder: Annotated[
        Path | None,
        typer.Argument(metavar="[DIR]", help="Where to write it; a distribution that is there gets one plugin more."),
    ] = None,
    licence: Annotated[License, typer.Option("--license", help="Licence of the distribution.")] = "mit",
    author: Annotated[str | None, typer.Option(metavar="NAME", help="Who has the copyright.")] = None,
) -> None:
    """Write a small distribution with a plugin that works: its code, its entry point, its test, a README."""
    from dimecli.scaffold.new import next_steps, write_distribution

    reporter = Reporter()
    written = write_distribution(_kind(kind), name, folder, licence, author, reporter)
    for file in written:
        print(file)
    reporter.say("Next:")
    for step in next_steps(kind, name, folder):
        reporter.say(f"  {step}")


def _kind(kind: str) -> str:
    if kind not in KINDS:
        raise UserError(f"no kind of plugin is called '{kind}'.{did_you_mean(kind, KINDS)}")
    return kind


def _matches(command: str, words: Sequence[str]) -> list[Entry]:
    """The plugins called `NAME` or `KIND NAME`."""
    *kinds, name = words
    if len(kinds) > 1 or not set(kinds) <= {*KINDS}:
        raise UserError(
            f"dime plugins {command} takes NAME or KIND NAME, got '{' '.join(words)}'; kinds: {', '.join(KINDS)}"
        )
    entries = [entry for kind in (kinds or KINDS) for entry in registered(kind)]
    found = [entry for entry in entries if entry.name == name]
    if not found:
        raise UserError(
            f"no {kinds[0] if kinds else 'plugin'} named '{name}'.{did_you_mean(name, {e.name for e in entries})}"
        )
    return found


def _to_check(words: Sequence[str], distribution: str | None) -> Iterable[Entry]:
    """The plugins of a file, of a name, of a distribution, or all that are not dimecli's own."""
    if words and distribution:
        raise UserError(f"--dist {distribution}: give a distribution, or '{' '.join(words)}', not both")
    if len(words) == 1 and words[0].endswith(".py"):
        return add_file(words[0])
    if words:
        return _matches("check", words)
    entries = [entry for kind in KINDS for entry in registered(kind)]
    if distribution is None:
        foreign = [entry for entry in entries if entry.distribution != "dimecli"]
        if not foreign:
            raise UserError("there are no plugins but dimecli's own; name one, or a Python file, or --dist dimecli")
        return foreign
    found = [entry for entry in entries if canonical(entry.distribution) == canonical(distribution)]
    if not found:
        known = {entry.distribution for entry in entries}
        raise UserError(f"--dist {distribution}: it has no plugins.{did_you_mean(distribution, known)}")
    return found


def _result(entry: Entry, findings: Sequence[Finding]) -> dict[str, Any]:
    promises = [
        {"where": one.where, "promise": one.promise, "held": one.held, "reason": one.reason or None} for one in findings
    ]
    return {"kind": entry.kind, "name": entry.name, "origin": entry.origin, "promises": promises}


def _print_findings(entry: Entry, findings: Sequence[Finding]) -> None:
    print(entry)
    where = ""
    for finding in findings:
        if finding.where != where:
            where = finding.where
            print(f"  {where}" if where else "  then")
        colour = {True: "green", False: "red", None: "yellow"}[finding.held]
        typer.echo(f"    {typer.style(f'{_MARKS[finding.held]:<8}', fg=colour)}{finding.promise}")
        if finding.reason:
            print(f"            {finding.reason}")


def _cell(row: dict[str, Any], column: str) -> str:
    if column == "summary" and row["error"]:
        return f"BROKEN: {row['error']}"
    return str(row[column] or "")
