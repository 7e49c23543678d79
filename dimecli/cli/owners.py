"""Which plugins have an option that a command does not know."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress

from dimecli.errors import PluginError
from dimecli.fields import options_of
from dimecli.plugin import KINDS
from dimecli.registry import registered


def owners(flag: str, kinds: Iterable[str]) -> str:
    """Which plugins of these kinds have the option, as a sentence to put behind an error; empty if none has it."""
    found: dict[str, list[str]] = {}
    for entry in [entry for kind in kinds for entry in registered(kind)]:
        with suppress(PluginError):
            if flag in {f"--{key.replace('_', '-')}" for key in options_of(entry.plugin)}:
                found.setdefault(entry.kind, []).append(entry.name)
    return "".join(
        f" It is an option of {kind} {', '.join(map(repr, having))}: {_way(kind, having)}."
        for kind, having in found.items()
    )


def _way(kind: str, having: Sequence[str]) -> str:
    """How a command line names one of these plugins."""
    if kind == "objective":  # the one kind that has no flag
        return "name it before all options"
    return f"add --{KINDS[kind].option or kind} {having[0] if len(having) == 1 else 'NAME'}"
