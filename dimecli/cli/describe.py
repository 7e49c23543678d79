"""What a plugin is and can be told, for `dime plugins list` and `show`, and as a page of documentation."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from html import escape
from typing import Any

from pydantic.fields import FieldInfo

from dimecli.cli.options import Table
from dimecli.entry import Entry
from dimecli.errors import PluginError
from dimecli.fields import options_of, show
from dimecli.registry import find
from dimecli.settings import replacement

USE = {
    "objective": "dime train {}",
    "network": "dime train --network {}",
    "dataset": "dime train --dataset {}",
    "grammar": "dime train --grammar {}",
    "density": "dime sample --density {}",
    "classifier": "dime classify --classifier {}",
    "metric": "dime evaluate --metric {}",
    "problem": "dime bo --problem {}",
    "search": "dime bo --search {}",
    "executor": "dime bo --executor {}",
    "tracker": "dime train --track {}",
    "protocol": "dime bo --protocol {}",
}
"""The command that chooses a plugin, by its kind."""

COLUMNS = ("option", "type", "default", "bounds", "description")


def summary(entry: Entry) -> dict[str, Any]:
    """One row of `dime plugins list`, as JSON values."""
    row: dict[str, Any] = {
        "kind": entry.kind,
        "name": entry.name,
        "origin": entry.origin,
        "summary": None,
        "error": None,
    }
    try:
        plugin = find(entry.kind, entry.name).plugin  # raises, too, where it is claimed twice
        gone = f" Deprecated: use {plugin.deprecated}." if plugin.deprecated else ""
        return row | {"summary": plugin.summary() + gone}
    except PluginError as error:
        return row | {"error": str(error)}


def description(entry: Entry) -> dict[str, Any]:
    """Everything that `dime plugins show` says, as JSON values.

    Raises:
        PluginError: the plugin is broken.
    """
    table = Table(entry.kind, entry.plugin, str(entry), given={}, taken=frozenset())
    options = [
        {
            "option": table.flag(key),
            "type": table.forms[key].label,
            "default": show(field.get_default(call_default_factory=True)),
            "bounds": ", ".join(table.forms[key].bounds),
            "description": (field.description or "") + _deprecated(field),
        }
        for key, field in options_of(entry.plugin).items()
    ]
    doc = inspect.getdoc(entry.plugin) or ""
    presets = getattr(entry.plugin, "presets", {})
    use = USE[entry.kind].format(entry.name)
    return {**summary(entry), "use": use, "doc": doc, "options": options, "presets": presets}


def _deprecated(field: FieldInfo) -> str:
    return f" Deprecated: {gone}." if (gone := replacement(field)) else ""


def preset_lines(presets: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The name of each preset, and what it sets."""
    for name, tables in presets.items():
        settings = (f"{table}.{key} = {show(value)}" for table, keys in tables.items() for key, value in keys.items())
        yield name, ", ".join(settings)


def markdown(plugin: dict[str, Any]) -> str:
    """A page of documentation of what `description` gave."""
    lines = [
        f"# {plugin['name']}",
        f"*{plugin['kind']} of {plugin['origin']}*",
        f"```\n{plugin['use']}\n```",
        plugin["doc"],
    ]
    if plugin["options"]:
        head = f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}"
        rows = [f"| {' | '.join(_cell(option, column) for column in COLUMNS)} |" for option in plugin["options"]]
        lines.append("\n".join(("## Options\n", head, *rows)))
    if plugin["presets"]:
        rows = [f"* `--preset {name}`: `{settings}`" for name, settings in preset_lines(plugin["presets"])]
        lines.append("\n".join(("## Presets\n", *rows)))
    return "\n\n".join(lines) + "\n"


def _cell(option: dict[str, str], column: str) -> str:
    text = option[column]
    if not text or column == "description":
        return text.replace("|", "\\|")
    # a backslash before | is part of the code to some readers of Markdown, and to none in HTML
    return f"<code>{escape(text).replace('|', '&#124;')}</code>" if "|" in text else f"`{text}`"
