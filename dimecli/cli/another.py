"""What could be tried in place of a plugin, for the hint at the end of a command."""

from __future__ import annotations

from dimecli.defaults import Role, optional
from dimecli.registry import names


def another(kind: Role, name: str) -> str:
    """The option that chooses another plugin than `name`: the default one, if it is another; empty if there is none.

    Args:
        kind: One that is a role too.
        name: The plugin that was just used.
    """
    known = names(kind)
    usual = optional(kind)
    others = [usual, *known] if usual in known else known
    return next((f" --{kind} {other}" for other in others if other != name), "")
