"""The contract of plugins as a program: `check_plugin("objective", "mine")`, for built-in and foreign ones alike."""

from __future__ import annotations

from pathlib import Path

from dimecli.registry import add_file, find
from dimecli.testing.check import HEAVY, findings_of
from dimecli.testing.contract import Contract, Finding
from dimecli.testing.expect import expect

__all__ = ["HEAVY", "Contract", "Finding", "check_file", "check_plugin", "expect", "findings_of"]


def check_plugin(kind: str, name: str) -> str | None:
    """What could not be checked and why, or None if all that a plugin promises was checked and holds.

    Args:
        kind: Such as `objective`.
        name: The name under which an installed distribution registers the plugin.

    Raises:
        AssertionError: something does not hold; a line for each such promise, with the cure.
        UserError: there is no such plugin.
        PluginError: two distributions claim the name.
    """
    entry = find(kind, name)
    findings = findings_of(entry)
    broken = [f"{entry}: {finding}" for finding in findings if finding.held is False]
    if broken:
        raise AssertionError("\n".join(broken))
    untried = [f"{entry}: {finding}" for finding in findings if finding.held is None]
    return "\n".join(untried) or None


def check_file(file: Path | str) -> str | None:
    """As `check_plugin`, of every plugin that a Python file defines.

    Raises:
        AssertionError: something does not hold.
        UserError: there is no such file, or no plugin in it.
        PluginError: it raises while it is executed.
    """
    return "\n".join(filter(None, (check_plugin(entry.kind, entry.name) for entry in add_file(file)))) or None
