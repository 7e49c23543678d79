"""Numbers and their conditions in words, the same on the terminal, in tables and on pages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from dimecli.errors import DimeError
from dimecli.fields import show
from dimecli.plugin import KINDS
from dimecli.registry import make


def number(value: float) -> str:
    """Four digits that count; whole numbers whole."""
    return f"{value:.0f}" if value == int(value) and abs(value) < 1e9 else f"{value:.4g}"


def written(conditions: Mapping[str, str]) -> str:
    """Conditions in one line."""
    return ", ".join(f"{key} {value}" for key, value in conditions.items())


def flat(conditions: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Every condition by its name; of a plugin its own name, with the options that are not its defaults."""
    for key, value in conditions.items():
        yield key, _plugin(key, value) if isinstance(value, Mapping) else show(value)


def _plugin(kind: str, table: Mapping[str, Any]) -> str:
    """The name alone, or `name (components 20)`, with the options that are not the default ones."""
    name = str(table.get("name", ""))
    defaults: dict[str, Any] = {}
    if name and kind in KINDS:
        with suppress(DimeError):  # not installed here: all options are told
            defaults = make(kind, name).options()
    options = {option: value for option, value in table.items() if option != "name"}
    told = (f"{key} {show(value)}" for key, value in options.items() if key not in defaults or defaults[key] != value)
    changed = ", ".join(told)
    return f"{name} ({changed})" if changed else name
