"""Where the plugins of a run came from, as its record keeps it, and what to do where they are not there."""

from __future__ import annotations

import shlex
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dimecli.entry import Entry
from dimecli.errors import ChangedWarning, PluginError, UserError
from dimecli.plugin import Plugin
from dimecli.registry import canonical, find, left_out, names, registered
from dimecli.run.record import Record

Origin = Mapping[str, Any]
"""`Entry.record`: distribution and version, or file and SHA-256; then class and plugin API."""


def told(origin: Origin) -> str:
    """Distribution and version, or a file's name and the start of its hash, as `Entry.origin` says it."""
    if "file" in origin:
        return f"{Path(origin['file']).name} (sha256 {origin['sha256'][:8]})"
    return f"{origin['distribution']} {origin['version']}"


def packages_of(record: Record) -> str:
    """The distributions, with their versions, and the files that a record's plugins came from."""
    return ", ".join(sorted({told(origin) for origin in record["plugins"].values()}))


def require(what: str, origin: Origin | None, kind: str, name: str) -> None:
    """Make sure that a plugin is there; a file is never executed because a record names it.

    Args:
        what: Who needs it, such as `run 2026-11-20-1`.
        origin: Where it came from; None where nobody knows.
        kind: Its kind.
        name: Its name.

    Raises:
        UserError: it is not; says what to install, or which file to give.
    """
    if name in names(kind) or origin is None:
        return
    if "file" in origin:
        file = origin["file"]
        raise UserError(f"{what} needs the {kind} '{name}' of the file {file}: give --plugin {shlex.quote(file)}")
    package = origin["distribution"]
    if left_out(kind, name):
        needs = f"{what} needs the {kind} '{name}' of {told(origin)}"
        raise UserError(f"{needs}, which $DIME_PLUGINS leaves out: add {package} to it")
    raise UserError(f"{what} needs the {kind} '{name}' of {told(origin)}: pip install {shlex.quote(package)}")


def plugin_of(path: Path, record: Record, kind: str, name: str, key: str) -> type[Plugin]:
    """The class of a plugin of a run, whose origin the record keeps under `key`.

    Raises:
        UserError: it is not there; as `require`.
        PluginError: it is broken, or of another plugin API than the one of this dimecli.
    """
    origin = record["plugins"].get(key)
    require(f"run {path.name}", origin, kind, name)
    try:
        return find(kind, name).plugin
    except PluginError as error:
        made = f" of {told(origin)}, made for plugin API {origin.get('api', 'unknown')}" if origin else ""
        raise PluginError(f"run {path.name} needs the {kind} '{name}'{made}: {error}") from error


def require_grammar(path: Path, record: Record) -> None:
    """Make sure that the grammar of a run's sentences is there, where it is a plugin.

    Raises:
        UserError: as `require`.
    """
    if origin := record["plugins"].get("grammar"):
        require(f"run {path.name}", origin, "grammar", str(record["config"]["dataset"].get("grammar")))


def changes(record: Record) -> list[str]:
    """The files that are not any more as they were when a run was trained, and the plugins that are another's now."""
    found = {_change(_entry(record, key), origin) for key, origin in record["plugins"].items()}
    return sorted(found - {""})


def _change(entry: Entry | None, origin: Origin) -> str:
    """What has changed, as a clause; empty where nothing has, apart from the version of a distribution."""
    if entry is None or (entry.file is None and canonical(entry.distribution) == canonical(_source(origin))):
        return ""
    if entry.file is None or "file" not in origin:
        return f"{entry.kind} '{entry.name}' is that of {entry.origin} and no longer that of {told(origin)}"
    return f"{Path(origin['file']).name} changed" if entry.version != origin["sha256"] else ""


def _source(origin: Origin) -> str:
    return str(origin.get("file") or origin["distribution"])


def warn_of_changes(path: Path, record: Record) -> None:
    """Warns, of each such change, that what the run gives now may be something else."""
    for change in changes(record):
        warnings.warn(f"{change} since run {path.name} was trained", ChangedWarning, stacklevel=3)


def _entry(record: Record, key: str) -> Entry | None:
    """The plugin that is there under the name of the one that the record keeps under a key."""
    kind, _, name = key.partition(".")
    config = record["config"]
    table = config["dataset"].get("grammar") if kind == "grammar" else config.get(kind, {}).get("name")
    return next((entry for entry in registered(kind) if entry.name == (name or table)), None)
