"""Several plugins of one kind: which ones a line and its files name, and what files tell each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from dimecli.cli.layers import Given, Layer, given_options
from dimecli.errors import UserError, did_you_mean
from dimecli.registry import names


def choose_several(kind: str, default: str, layers: Iterable[Layer]) -> tuple[Given, dict[str, dict[str, Given]]]:
    """The names that the layers give, with commas between, and the options of each plugin by its name.

    Raises:
        UserError: a table is for a plugin that there is not, or is no table.
    """
    chosen = Given(default, "the default")
    tables: dict[str, dict[str, Given]] = {}
    for layer in layers:
        for key, value in layer.tables.get(kind, {}).items():
            if key == "name" and isinstance(value, str):
                chosen = Given(value, f"'name' in [{kind}] of {layer.source}")
            elif not isinstance(value, Mapping):
                raise UserError(
                    f"'{key}' in [{kind}] of {layer.source}: only 'name', names with commas between, and tables "
                    f"such as [{kind}.{names(kind)[0]}] go there"
                )
            elif key not in names(kind):
                raise UserError(f"[{kind}.{key}] of {layer.source}: no {kind} '{key}'.{did_you_mean(key, names(kind))}")
            else:
                given = given_options(value, f"[{kind}.{key}] of {layer.source}")
                tables[key] = tables.get(key, {}) | given
    return chosen, tables


def split_names(kind: str, chosen: Given, more: Sequence[str]) -> list[str]:
    """The names, each once; those in `more` stand for something else than a plugin.

    Raises:
        UserError: there is no such plugin, or none is named.
    """
    allowed = (*more, *names(kind))
    found = list(dict.fromkeys(name.strip() for name in chosen.value.split(",") if name.strip()))
    if not found:
        raise UserError(f"{chosen.source}: give names with commas between, of {', '.join(allowed)}")
    for name in found:
        if name not in allowed:
            raise UserError(f"{chosen.source}: no {kind} '{name}'.{did_you_mean(name, allowed)}")
    return found
