"""One registered plugin: who ships it, and its class, imported when it is asked for."""

from __future__ import annotations

import inspect
import sys
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

from dimecli.declaration import fault
from dimecli.errors import PluginError
from dimecli.plugin import API, KINDS, Plugin


@dataclass(frozen=True)
class Entry:
    """One registered plugin, not imported yet.

    Attributes:
        distribution: Who ships it; of a plugin in a loose file, the file.
        version: Of the distribution; of a loose file, the SHA-256 of its text.
        file: The loose file, if it comes from one.
    """

    kind: str
    name: str
    distribution: str
    version: str
    point: EntryPoint
    file: Path | None = None

    @property
    def origin(self) -> str:
        """Distribution and version, such as `dimecli 0.1.0`, or `mine.py (sha256 3f2a9c01)`."""
        if self.file is not None:
            return f"{self.file.name} (sha256 {self.version[:8]})"
        return f"{self.distribution} {self.version}"

    @property
    def record(self) -> dict[str, Any]:
        """What a run keeps of where a plugin came from."""
        key = "file" if self.file else "distribution"
        value = "sha256" if self.file else "version"
        where = self.point.attr if self.file else self.point.value
        return {key: self.distribution, value: self.version, "class": where, "api": self.plugin.api}

    @cached_property
    def plugin(self) -> type[Plugin]:
        """The plugin's class, imported now.

        Raises:
            PluginError: it does not import, is no plugin of this kind, is made for another API, or is declared
                wrongly: lacks a method, or has an option that nobody can give or that has no default.
        """
        if not module_of(self):
            raise PluginError(f"{self} is no plugin: expected an entry point MODULE:CLASS, got '{self.point.value}'")
        try:
            loaded = self.point.load()
        except (Exception, SystemExit) as error:  # a third party's module may raise anything, or leave
            cause = f"{type(error).__name__}: {error}".partition("\n")[0]
            raise PluginError(f"{self} failed to import: {cause}") from error
        base = KINDS[self.kind]
        if not (inspect.isclass(loaded) and issubclass(loaded, base)):
            raise PluginError(
                f"{self} is no plugin: expected a subclass of dimecli.plugin.{base.__name__}, got {loaded!r}"
            )
        if loaded.api != API:
            raise PluginError(
                f"{self} is made for plugin API {loaded.api}, this dimecli has API {API}; upgrade the older one"
            )
        if wrong := fault(loaded, base):
            raise PluginError(f"{self}{wrong}")
        return loaded

    def __str__(self) -> str:
        where = self.point.attr if self.file else self.point.value
        return f"{self.kind} '{self.name}' of {self.origin} ({where})"


def module_of(entry: Entry) -> str:
    """The name of the module that a plugin is in; empty where its entry point is not written as one is."""
    try:
        return entry.point.module
    except (AttributeError, ValueError):  # which one depends on the version of Python
        return ""


def imported(entry: Entry) -> Any:
    """A plugin's class, as its module has it; None where that was not imported."""
    found: Any = sys.modules.get(module_of(entry))
    for name in entry.point.attr.split(".") if found else ():
        found = getattr(found, name, None)
    return found
