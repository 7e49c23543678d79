"""Entry points -> plugins, lazily: a plugin is imported when it is asked for, and a broken one hurts nobody else."""

from __future__ import annotations

import os
import re
import shlex
from functools import cache
from importlib.metadata import Distribution, EntryPoint, EntryPoints, entry_points
from pathlib import Path
from typing import Any

from dimecli import loose
from dimecli.entry import Entry, imported
from dimecli.errors import PluginError, UserError, did_you_mean
from dimecli.plugin import KINDS, Plugin
from dimecli.settings import checked, warn_deprecated

_files: list[Entry] = []
"""The plugins of files that no distribution has."""


def registered(kind: str) -> tuple[Entry, ...]:
    """Every plugin of a kind, by name, as installed distributions declare them; imports none of them."""
    return installed()[kind]


@cache
def installed() -> dict[str, tuple[Entry, ...]]:
    """Every plugin by its kind, of which `registered` gives one; reads a file of every distribution.

    Raises:
        UserError: $DIME_PLUGINS names a distribution that has none.
    """
    points = _points()
    found: dict[str, tuple[Entry, ...]] = {}
    for kind, base in KINDS.items():
        entries = [
            Entry(kind, point.name, *_origin(point.dist), point)
            for point in points.select(group=base.group)
            if point.dist is not None
        ]
        entries += [entry for entry in _files if entry.kind == kind]
        found[kind] = tuple(sorted(entries, key=lambda entry: (entry.name, entry.origin)))
    return found


@cache
def _points() -> EntryPoints:
    """The entry points of all plugins, only those of the distributions that $DIME_PLUGINS names where it names any."""
    groups = ("dimecli.defaults", *(base.group for base in KINDS.values()))
    points = entry_points()  # asked for one group it would read the files of all for each
    ours = [point for group in groups for point in points.select(group=group) if point.dist is not None]
    wanted = [name.strip() for name in os.environ.get("DIME_PLUGINS", "").split(",") if name.strip()]
    if wanted:
        known = {canonical(_origin(point.dist)[0]) for point in ours if point.dist}
        for name in wanted:
            if canonical(name) not in known:
                raise UserError(
                    f"$DIME_PLUGINS: no distribution '{name}' with plugins is installed."
                    f"{did_you_mean(canonical(name), known)}"
                )
        allowed = {canonical(name) for name in wanted}
        ours = [point for point in ours if point.dist and canonical(_origin(point.dist)[0]) in allowed]
    return EntryPoints(ours)


def points_of(group: str) -> list[tuple[str, EntryPoint]]:
    """The entry points of a group that is no kind of plugin, each behind its origin; dimecli's own come first."""
    points = [(*_origin(point.dist), point) for point in _points().select(group=group) if point.dist is not None]
    points.sort(key=lambda point: (point[0] != "dimecli", point[0]))
    return [(f"{distribution} {version}", point) for distribution, version, point in points]


def left_out(kind: str, name: str) -> str:
    """That distributions have such a plugin which $DIME_PLUGINS leaves out; empty where it leaves out none."""
    points = entry_points(group=KINDS[kind].group, name=name) if os.environ.get("DIME_PLUGINS") else ()
    hidden = sorted({point.dist.name for point in points if point.dist is not None})
    return f" ($DIME_PLUGINS leaves out that of {' and '.join(hidden)})" if hidden else ""


def forget() -> None:
    """Makes the next look read the environment and the metadata of distributions again, without loose files."""
    from dimecli import defaults

    _files.clear()
    for kept in (_points, installed, defaults._loaded):
        kept.cache_clear()


def canonical(distribution: str) -> str:
    """The name as packaging tools compare it: `Dime_More` is `dime-more`."""
    return re.sub(r"[-_.]+", "-", distribution.strip()).lower()


def add_file(file: Path | str) -> tuple[Entry, ...]:
    """Registers the plugins that a Python file defines, each under its class's name: `SparseCodes` is `sparse-codes`.

    Raises:
        UserError: there is no such file, or no plugin in it.
        PluginError: it raises while it is executed; names the line.
    """
    module = loose.load(Path(file))
    path: Path = module.__dime_file__
    entries = [
        Entry(kind, name, str(path), module.__dime_hash__, _point(cls, name), path)
        for kind, name, cls in loose.classes(module)
    ]
    if not entries:
        bases = ", ".join(base.__name__ for base in KINDS.values())
        raise UserError(f"--plugin {file}: it defines no plugin: a class whose base is one of {bases}")
    _files[:] = [entry for entry in _files if entry.file != path] + entries
    installed.cache_clear()
    return tuple(entries)


def file_options() -> str:
    """What a further command line needs to know these files too: ` --plugin mine.py`; empty where there are none."""
    files = dict.fromkeys(entry.file for entry in _files if entry.file)
    here = Path.cwd()
    shown = (file.relative_to(here) if file.is_relative_to(here) else file for file in files)
    return "".join(f" --plugin {shlex.quote(str(file))}" for file in shown)


def drop_files() -> None:
    """Undoes every `add_file`."""
    if _files:
        _files.clear()
        installed.cache_clear()


def _point(cls: type[Plugin], name: str) -> EntryPoint:
    return EntryPoint(name, f"{cls.__module__}:{cls.__qualname__}", cls.group)


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
        if not any(installed().values()):
            raise UserError("no plugins are registered; install the project first: pip install -e .")
        others = [other for other in KINDS if name in names(other)]
        if others:
            raise UserError(f"no {kind} named '{name}', but a {others[0]}: --{others[0]} {name}")
        raise UserError(f"no {kind} named '{name}'{left_out(kind, name)}.{did_you_mean(name, names(kind))}")
    if len(entries) > 1:
        claims = [f"{entry.origin} ({entry.point.value})" for entry in entries if not entry.file]
        files = [entry.origin for entry in entries if entry.file]
        cure = "leave out --plugin, or give the class in the file another name" if files else "uninstall one of them"
        raise PluginError(f"{kind} '{name}' is claimed by {' and '.join(claims + files)}; {cure}")
    return entries[0]


def make(kind: str, name: str, **options: object) -> Any:
    """A plugin with these options, such as `make("objective", "mine", latent_size=8)`.

    Raises:
        UserError: there is no such plugin, or an option is wrong; in one line.
        PluginError: the plugin cannot be used.
    """
    plugin = find(kind, name).plugin
    warn_if_deprecated(kind, name, plugin)
    return checked(plugin, options, f"{kind} '{name}'")


def warn_if_deprecated(kind: str, name: str, plugin: type[Plugin]) -> None:
    """Warns whoever chose a plugin that is deprecated, and says what to use in its place."""
    if plugin.deprecated:
        warn_deprecated(f"{kind} '{name}'", f"use {plugin.deprecated}")


def entry_of(plugin: Plugin) -> Entry:
    """The entry under which a plugin's class is registered, so that a run can name it.

    Raises:
        UserError: its class is not registered by any installed distribution.
    """
    cls = type(plugin)
    for entry in registered(cls.kind):
        if imported(entry) is cls:
            return entry
    raise UserError(
        f"{cls.__qualname__} of {cls.__module__} is not registered under '{cls.group}'; a run needs a name for it"
    )
