"""What a command line said, once it was parsed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from dimecli.cli.options import Table


class Parsed:
    """What was typed, and what presets and files gave; checked when it is asked for.

    Attributes:
        notes: What a user should know of how the line was read.
        everything: Kinds of which all plugins were chosen that work, by the word `all`.
    """

    def __init__(
        self,
        tables: Mapping[str, Table],
        slots: Iterable[str],
        values: Mapping[str, Any],
        notes: Sequence[str],
        everything: Sequence[str],
    ) -> None:
        self._tables = tables
        self._slots = slots
        self._values = values
        self.notes = notes
        self.everything = everything

    def settings(self, table: str) -> Any:
        """The checked plugin or settings of a table.

        Raises:
            UserError: names the option, or the file, table and key, and what is allowed.
        """
        return self._tables[table].build(self._values)

    def several(self, kind: str) -> dict[str, Any]:
        """The checked plugins of a kind of which there may be several, by their names.

        Raises:
            UserError: as `settings`.
        """
        start = f"{kind}."
        return {name.removeprefix(start): self.settings(name) for name in self._tables if name.startswith(start)}

    @property
    def typed(self) -> list[str]:
        """The flags and names of plugins that were typed."""
        flags = [table.flag(key) for table in self._tables.values() for key in table.typed(self._values)]
        return [f"{slot} '{name}'" for slot in self._slots if (name := self._values.get(slot))] + flags
