"""What was measured of a run: `metrics.jsonl` in its folder, a line for each number, with its conditions."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from pydantic import TypeAdapter, ValidationError

from dimecli.errors import DimeError
from dimecli.plugin import Measured
from dimecli.run.files import append_line, whole_lines

FILE = "metrics.jsonl"
_DIRECTIONS = ("higher", "lower", None)


@dataclass(frozen=True)
class Entry(Measured):
    """A number that is kept.

    Args:
        origin: Distribution and version of the plugin that measured it.
        weights: SHA-256 of the weights that it is of.
    """

    origin: str = ""
    weights: str = ""

    @classmethod
    def of(cls, measured: Measured, given: dict[str, Any], origin: str, weights: str) -> Self:
        """The number as it is kept: `given` are conditions that all numbers of one evaluation share.

        Raises:
            DimeError: it is not finite, its direction is none, or its conditions are no JSON.
        """
        value = float(measured.value)
        if measured.direction not in _DIRECTIONS:
            raise DimeError(
                f"the direction of {measured.name} is {measured.direction!r}; allowed: 'higher', 'lower', None"
            )
        if not math.isfinite(value):
            raise DimeError(f"{measured.name} is {value}")
        try:
            conditions = json.loads(json.dumps({**given, **measured.conditions}, allow_nan=False))
        except (TypeError, ValueError) as error:
            raise DimeError(f"the conditions of {measured.name} are no JSON: {error}") from error
        return cls(
            measured.name, value, measured.direction, measured.unit, conditions, measured.remark, origin, weights
        )

    @property
    def key(self) -> str:
        """Two numbers compare only if this is the same."""
        return json.dumps([self.name, self.conditions], sort_keys=True)

    def as_json(self) -> dict[str, Any]:
        """JSON values under the names that a program reads."""
        fields = asdict(self)
        return {"metric": fields.pop("name"), **fields}


_ENTRY = TypeAdapter(Entry)


def keep(path: Path, entries: list[Entry]) -> None:
    """Add numbers, at least one, to those of the run in that folder.

    Raises:
        DimeError: the system refused.
    """
    whole_lines(path / FILE)  # removes a line that a kill cut short
    append_line(path / FILE, "\n".join(json.dumps(entry.as_json(), ensure_ascii=False) for entry in entries))


def kept(path: Path, weights: str) -> list[Entry]:
    """The numbers of the run in that folder, of these weights; the last of each metric and conditions.

    Raises:
        DimeError: the file is damaged; names the line.
    """
    file = path / FILE
    found: dict[str, Entry] = {}
    try:
        lines = file.read_bytes().split(b"\n")[:-1] if file.exists() else []  # a last one may be just being written
    except OSError as error:
        raise DimeError(f"{file} cannot be read: {error.strerror}") from error
    for number, line in enumerate(lines, 1):
        try:
            fields = json.loads(line)
            entry = _ENTRY.validate_json(json.dumps({"name": fields.pop("metric"), **fields}), strict=True)
            entry = Entry.of(entry, {}, entry.origin, entry.weights)
        except (DimeError, ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
            raise DimeError(f"{file}:{number}: damaged: {_cause(error)}; delete that line") from error
        if entry.weights == weights:
            found.pop(entry.key, None)  # the newest is the last
            found[entry.key] = entry
    return list(found.values())


def _cause(error: Exception) -> str:
    """What is wrong with a line, in one."""
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False)[0]
        return f"{first['loc'][0]}: {first['msg']}"
    return str(error) if isinstance(error, DimeError) else f"{type(error).__name__}: {error}"
