"""Entry points -> plugins, lazily: a plugin is imported when it is asked for, and a broken one hurts nobody else."""

from __future__ import annotations

import inspect
import sys
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.metadata import Distribution, EntryPoint, entry_points
from typing import Any

from dimecli.errors import PluginError, UserError, did_you_mean
from dimecli.plugin import API, KINDS, Plugin
from dimecli.settings import checked


@dataclass(frozen=True)
class Entry:
    """One registered plugin, not imported yet."""

    kind: str
    name: str
    distribution: str
    version: str
    point: EntryPoint

    @property
    def origin(self) -> str:
        """Distribution and version, such as `dimecli 0.1.0`."""
        return f"{self.distribution} {self.version}"

    @cached_property
    def plugin(self) -> type[Plugin]:
        """The plugin's class, imported now.

        Raises:
            PluginError: it does not import, is no plugin of this kind, or is made for another API.
        """
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
        if missing := sorted(getattr(loaded, "__abstractmethods__", ())):
            raise PluginError(f"{self} lacks {', '.join(missing)}, which every {self.kind} must define")
        return loaded

    def __str__(self) -> str:
        return f"{self.kind} '{self.name}' of {self.origin} ({self.point.value})"


def registered(kind: str) -> tuple[Entry, ...]:
    """Every plugin of a kind, by name, as installed distributions declare them; imports none of them."""
    return installed()[kind]


@cache
def installed() -> dict[str, tuple[Entry, ...]]:
    """Every plugin by its kind, of which `registered` gives one; reads a file of every distribution."""
    points = entry_points()  # asked for one group it would read the files of all for each
    found: dict[str, tuple[Entry, ...]] = {}
    for kind, base in KINDS.items():
        entries = [
            Entry(kind, point.name, *_origin(point.dist), point)
            for point in points.select(group=base.group)
            if point.dist is not None
        ]
        found[kind] = tuple(sorted(entries, key=lambda entry: (entry.name, entry.origin)))
    return found


@cache
def _origin(distribution: Distribution) -> tuple[str, str]:
    """Name and version, for which the distribution parses a file every time."""
    return distribution.name, distribution.version


def names(kind: str) -> list[str]:
    """The names of a kind's plugins, sorted."""
    return sorted({entry.name for entry in registered(kind)})


def find(kind: str, name: str) -> Entry:
    """The plugin of that kind and name.

    Raises:
        UserError: there is none; the message has the nearest name.
        PluginError: two distributions claim the name.
    """
    entries = [entry for entry in registered(kind) if entry.name == name]
    if not entries:
        if not registered(kind):
            raise UserError("no plugins are registered; install the project first: pip install -e .")
        others = [other for other in KINDS if name in names(other)]
        if others:
            raise UserError(f"no {kind} named '{name}', but a {others[0]}: --{others[0]} {name}")
        raise UserError(f"no {kind} named '{name}'.{did_you_mean(name, names(kind))}")
    if len(entries) > 1:
        claims = " and ".join(f"{entry.origin} ({entry.point.value})" for entry in entries)
        raise PluginError(f"{kind} '{name}' is claimed by {claims}; uninstall one of them")
    return entries[0]


def make(kind: str, name: str, **options: object) -> Any:
    """A plugin with these options, such as `make("objective", "dime", gamma=4.0)`.

    Raises:
        UserError: there is no such plugin, or an option is wrong; in one line.
        PluginError: the plugin cannot be used.
    """
    return checked(find(kind, name).plugin, options, f"{kind} '{name}'")


def entry_of(plugin: Plugin) -> Entry:
    """The entry under which a plugin's class is registered, so that a run can name it.

    Raises:
        UserError: its class is not registered by any installed distribution.
    """
    cls = type(plugin)
    for entry in registered(cls.kind):
        module = sys.modules.get(entry.point.module)  # imported, if the class came from there
        if getattr(module, entry.point.attr, None) is cls:
            return entry
    raise UserError(
        f"{cls.__qualname__} of {cls.__module__} is not registered under '{cls.group}'; a run needs a name for it"
    )
