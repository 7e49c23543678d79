"""The pyproject.toml of a distribution that gets one plugin more: a line is put in, all else stays as it is."""

from __future__ import annotations

import re
import tomllib
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from dimecli.errors import UserError
from dimecli.plugin import KINDS
from dimecli.scaffold.texts import SHIPPED, point_text

_WHEEL = ("tool", "hatch", "build", "targets", "wheel")


def read_project(file: Path) -> str:
    """The text of a pyproject.toml.

    Raises:
        UserError: it cannot be read, is no TOML, or has no [project].
    """
    try:
        text = file.read_bytes().decode()
        project = tomllib.loads(text).get("project")
    except OSError as error:
        raise UserError(f"{file}: cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise UserError(f"{file}: is no TOML: {error}") from error
    if not isinstance(project, dict):
        raise UserError(f"{file}: has no table [project], so it is of no distribution; choose another DIR")
    return text


def check_shipped(file: Path, text: str) -> None:
    """Raises a UserError where a new module at the distribution's root would not get into its wheel."""
    table: Any = tomllib.loads(text)
    for key in _WHEEL:
        table = table.get(key, {})
    if not any(fnmatch("/dime_new.py", str(pattern)) for pattern in table.get("include", ())):
        raise UserError(
            f'{file}: does not ship modules called dime_*; expected include = ["{SHIPPED}"] in [{".".join(_WHEEL)}], '
            "as in a distribution that dime plugins new wrote; add it, or choose another DIR"
        )


def add_point(file: Path, text: str, kind: str, name: str) -> str:
    """The text with the entry point of one plugin more.

    Raises:
        UserError: the distribution has a plugin of that kind and name, or its entry points are written so that
            no line can be put in.
    """
    group, before = KINDS[kind].group, tomllib.loads(text)
    points: dict[str, Any] = before["project"].get("entry-points", {})
    if name in points.get(group, {}):
        raise UserError(f"NAME '{name}': {file} has {kind} '{name}' already; choose another one")
    added = _with_line(text, group, point_text(name))
    expected = points | {group: {**points.get(group, {}), **tomllib.loads(point_text(name))}}
    try:
        after = tomllib.loads(added)
    except tomllib.TOMLDecodeError:
        after = {}
    if after != before | {"project": before["project"] | {"entry-points": expected}}:
        raise UserError(
            f"{file}: its entry points are not tables of their own, such as "
            f'[project.entry-points."{group}"]; write them so, or choose another DIR'
        )
    return added


def _with_line(text: str, group: str, line: str) -> str:
    """The line behind the last one of the group's table, or in a new table behind those of other groups."""
    newline = "\r\n" if "\r\n" in text else "\n"
    lines = (text if text.endswith("\n") else text + newline).splitlines(keepends=True)
    heads = {index: match["group"] for index, row in enumerate(lines) if (match := _HEAD.match(row))}
    own = [index for index, found in heads.items() if found == group]
    if own:
        lines.insert(_end(lines, own[0]), line + newline)
    else:
        last = _end(lines, max(heads)) if heads else len(lines)
        lines[last:last] = [newline, f'[project.entry-points."{group}"]{newline}', line + newline]
    return "".join(lines)


_HEAD = re.compile(
    r"""\s*\[\s*project\s*\.\s*(?:entry-points|"entry-points")\s*\.\s*["'](?P<group>[^"']+)["']\s*\]\s*(?:#.*)?$"""
)


def _end(lines: list[str], head: int) -> int:
    """Where the last entry of a table ends: comments and empty lines behind it belong to the next one."""
    end = next((index for index in range(head + 1, len(lines)) if re.match(r"\s*\[", lines[index])), len(lines))
    while end > head + 1 and re.match(r"\s*(#|$)", lines[end - 1]):
        end -= 1
    return end
