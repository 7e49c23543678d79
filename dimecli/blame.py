"""Whose fault an exception is: one that comes out of a plugin of somebody else is told in a line with its address."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from dimecli.entry import Entry, imported, module_of
from dimecli.errors import PluginFailedError
from dimecli.plugin import KINDS
from dimecli.registry import registered

_OWN = "dimecli"


def blamed(error: BaseException) -> PluginFailedError | None:
    """What is told in place of a traceback; None where no plugin of another distribution, or of a file, is to blame.

    To blame is the innermost frame of a module that a plugin is registered from.
    """
    for frame, line in reversed(list(traceback.walk_tb(error.__traceback__))):
        file = frame.f_code.co_filename
        if entries := [entry for entry in _foreign() if _file(entry) == file]:
            cause = ": ".join(filter(None, (type(error).__name__, str(error).strip().partition("\n")[0])))
            where = f"{Path(file).name}, line {line}"
            found = PluginFailedError(f"{_whose(entries, file, error)} failed: {cause} ({where})")
            found.__cause__ = error
            return found
    return None


def suspects(error: BaseException) -> None:
    """Adds to an exception for which nobody is to blame which plugins were in use, and what to do about it."""
    used = {entry.file or entry.distribution: entry.origin for entry in _foreign() if _file(entry)}
    if used:
        origins = ", ".join(sorted(used.values()))
        error.add_note(f"Plugins of {origins} were in use; 'dime plugins check' tries what they promise.")


def _foreign() -> Iterator[Entry]:
    """The plugins that are not dimecli's own."""
    for kind in KINDS:
        yield from (entry for entry in registered(kind) if entry.file or entry.distribution != _OWN)


def _file(entry: Entry) -> str | None:
    """The file of a plugin's module; None where it was not imported."""
    if entry.file:
        return str(entry.file)
    file: str | None = getattr(sys.modules.get(module_of(entry)), "__file__", None)
    return file


def _whose(entries: list[Entry], file: str, error: BaseException) -> str:
    """The plugin whose method the error came through; where that is not clear, the module of several."""
    if len(entries) == 1:
        return str(entries[0])
    for frame, _ in reversed(list(traceback.walk_tb(error.__traceback__))):
        found = [entry for entry in entries if frame.f_code.co_filename == file and _is_method(frame, entry)]
        if found:
            return str(found[0])
    return f"a plugin of {entries[0].origin} ({module_of(entries[0])})"


def _is_method(frame: FrameType, entry: Entry) -> bool:
    """Whether a frame is of a method of a plugin's class, or of one that it inherits in its module."""
    cls, this = imported(entry), frame.f_locals.get("self", frame.f_locals.get("cls"))
    return cls is not None and (this is cls or type(this) is cls)
