"""`dime plugins`: lists the installed plugins and shows what each can be told."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from dimecli.cli.common import AsJson, print_json, print_table
from dimecli.cli.options import Table, completer
from dimecli.console import Reporter
from dimecli.errors import PluginError, UserError, did_you_mean
from dimecli.fields import options_of, show
from dimecli.plugin import KINDS
from dimecli.registry import Entry, find, registered

app = typer.Typer()


@app.command("list")
def list_command(json: AsJson = False) -> None:
    """List every plugin: its kind, name, distribution and summary, or why it does not work."""
    rows = [_summary(entry) for kind in KINDS for entry in registered(kind)]
    if json:
        print_json(rows)
        return
    columns = ("kind", "name", "origin", "summary")
    print_table(columns, ([_cell(row, column) for column in columns] for row in rows))
    Reporter().say("Next: dime plugins show NAME")


def complete_name(incomplete: str) -> list[str]:
    """What a shell offers for a plugin."""
    return completer({entry.name for kind in KINDS for entry in registered(kind)} | {*KINDS})(incomplete)


Words = Annotated[list[str], typer.Argument(metavar="[KIND] NAME", help="The plugin.", autocompletion=complete_name)]


@app.command("show")
def show_command(words: Words, json: AsJson = False) -> None:
    """Show a plugin: what it does, its options and its presets."""
    described = [_description(entry) for entry in _matches(words)]
    if json:
        print_json(described)
        return
    for number, plugin in enumerate(described):
        print("\n" * (number > 0) + f"{plugin['kind']} '{plugin['name']}' of {plugin['origin']}\n\n{plugin['doc']}\n")
        if plugin["error"]:
            print(f"BROKEN: {plugin['error']}\n")
        columns = ("option", "type", "default", "bounds", "description")
        if plugin["options"]:
            print_table(columns, ([option[column] for column in columns] for option in plugin["options"]))
        else:
            print("It has no options.")
        for name, tables in plugin["presets"].items():
            settings = [
                f"{table}.{key} = {show(value)}" for table, keys in tables.items() for key, value in keys.items()
            ]
            print(f"\npreset '{name}': {', '.join(settings)}")


def _matches(words: Sequence[str]) -> list[Entry]:
    """The plugins called `NAME` or `KIND NAME`."""
    *kinds, name = words
    if len(kinds) > 1 or not set(kinds) <= {*KINDS}:
        raise UserError(
            f"dime plugins show takes NAME or KIND NAME, got '{' '.join(words)}'; kinds: {', '.join(KINDS)}"
        )
    entries = [entry for kind in (kinds or KINDS) for entry in registered(kind)]
    found = [entry for entry in entries if entry.name == name]
    if not found:
        raise UserError(
            f"no {kinds[0] if kinds else 'plugin'} named '{name}'.{did_you_mean(name, {e.name for e in entries})}"
        )
    return found


def _summary(entry: Entry) -> dict[str, Any]:
    row: dict[str, Any] = {
        "kind": entry.kind,
        "name": entry.name,
        "origin": entry.origin,
        "summary": None,
        "error": None,
    }
    try:
        return row | {"summary": find(entry.kind, entry.name).plugin.summary()}  # which it is not if claimed twice
    except PluginError as error:
        return row | {"error": str(error)}


def _description(entry: Entry) -> dict[str, Any]:
    table = Table(entry.kind, entry.plugin, str(entry), given={}, taken=frozenset())
    options = [
        {
            "option": table.flag(key),
            "type": table.forms[key].label,
            "default": show(field.get_default(call_default_factory=True)),
            "bounds": ", ".join(table.forms[key].bounds),
            "description": field.description or "",
        }
        for key, field in options_of(entry.plugin).items()
    ]
    doc = inspect.getdoc(entry.plugin) or ""
    presets = getattr(entry.plugin, "presets", {})
    return {**_summary(entry), "doc": doc, "options": options, "presets": presets}


def _cell(row: dict[str, Any], column: str) -> str:
    if column == "summary" and row["error"]:
        return f"BROKEN: {row['error']}"
    return str(row[column] or "")
