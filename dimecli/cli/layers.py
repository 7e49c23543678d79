"""Where options come from besides the command line: presets and files, as layers of tables."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dimecli.errors import UserError, did_you_mean
from dimecli.plugin import KINDS

TABLES = (
    *(kind for kind in KINDS if kind != "grammar"),
    *("train", "sample", "evaluate", "classify", "reconstruct", "interpolate", "traverse", "embed", "nearest"),
    *("report", "bo", "plugins"),
)
"""The tables that a file may have; each command reads its own, so that one file describes an experiment."""


@dataclass(frozen=True)
class Given:
    """A value and where it was given, such as `'lambda' in [objective] of run.toml`."""

    value: Any
    source: str


@dataclass(frozen=True)
class Layer:
    """Tables of options from one source; they override those of the layers before.

    `origins` says of each kind where the plugin came from, if the source is the record of a run.

    Raises:
        UserError: a table is unknown, or an option stands outside of any table.
    """

    source: str
    tables: Mapping[str, Mapping[str, Any]]
    origins: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, table in self.tables.items():
            if not isinstance(table, Mapping):
                raise UserError(
                    f"{self.source}: '{name}' stands outside of any table; write it below one, such as [train]"
                )
            if name not in TABLES:
                raise UserError(f"{self.source}: no table [{name}] is known.{did_you_mean(name, TABLES)}")


def read_layer(file: str) -> Layer:
    """The tables of a TOML file, of the run.json of a run, or of what `--dry-run` printed.

    Raises:
        UserError: the file cannot be read or has something that no table allows.
    """
    try:
        text = Path(file).read_text(encoding="utf-8")
        if Path(file).suffix != ".json":
            return Layer(file, tomllib.loads(text))
        record = json.loads(text)
    except OSError as error:
        raise UserError(f"--config {file}: {error.strerror}") from error
    except ValueError as error:  # of the text's encoding, of TOML or of JSON
        raise UserError(f"--config {file}: {error}") from error
    tables = record.get("config", record) if isinstance(record, dict) else None
    if not isinstance(tables, dict):
        raise UserError(
            f"--config {file}: no record of a run; give a run's run.json, what --dry-run prints, or a TOML file"
        )
    return Layer(file, tables, record.get("plugins", {}) if "config" in record else {})


def choose(kind: str, default: str, layers: Iterable[Layer]) -> tuple[str, dict[str, Given]]:
    """The name of the plugin of a kind, and the options that the layers give it.

    A layer that names another plugin than one before it replaces the table as a whole: the options
    so far were the other one's. A table without a name is for whichever plugin is chosen.
    """
    name: str | None = None
    options: dict[str, Given] = {}
    for layer in layers:
        table = dict(layer.tables.get(kind, {}))
        named = table.pop("name", name)
        if not isinstance(named, str | None):
            raise UserError(f"'name' in [{kind}] of {layer.source}: should be the name of a plugin, got {named!r}")
        if named != name:
            options = {} if name else options
            name = named
        options |= _given(layer, kind, table)
    return name or default, options


def combine(name: str, layers: Iterable[Layer]) -> dict[str, Given]:
    """The options that the layers give to a table that belongs to no plugin."""
    options: dict[str, Given] = {}
    for layer in layers:
        options |= _given(layer, name, layer.tables.get(name, {}))
    return options


def given_options(table: Mapping[str, Any], where: str) -> dict[str, Given]:
    """The options of one table; `latent-size`, as flags are spelled, is `latent_size`."""
    return {key.replace("-", "_"): Given(value, f"'{key}' in {where}") for key, value in table.items()}


def _given(layer: Layer, name: str, table: Mapping[str, Any]) -> dict[str, Given]:
    return given_options(table, f"[{name}] of {layer.source}")
