"""Presets of all objectives: the command line understands them, and they choose what their names say."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from dimecli.plugin import Objective
from dimecli.registry import names, registered

Tables = Mapping[str, Mapping[str, Any]]

PLUGINS = {entry.name: entry.plugin for entry in registered("objective") if entry.distribution == "dimecli"}
PRESETS = {
    f"{name} {preset}": tables
    for name, plugin in PLUGINS.items()
    if issubclass(plugin, Objective)
    for preset, tables in plugin.presets.items()
}
NAMED = [(key, dataset) for key in PRESETS for dataset in names("dataset") if key.endswith(f"-{dataset}")]
TABLE_2 = [key for key in PRESETS if key.endswith(" dime-table2")]


@pytest.mark.parametrize("key", PRESETS)
def test_the_command_line_resolves_every_preset_to_what_it_gives(dime: Callable[..., Any], key: str) -> None:
    objective, preset = key.split()
    ran = dime("train", objective, "--preset", preset, "--dry-run")
    assert ran.code == 0, ran.err
    given = json.loads(json.dumps(PRESETS[key]))  # tuples are lists there
    assert given == {table: {name: ran.json[table][name] for name in options} for table, options in given.items()}


@pytest.mark.parametrize(("key", "dataset"), NAMED)
def test_a_preset_named_after_a_dataset_chooses_it(key: str, dataset: str) -> None:
    assert PRESETS[key]["dataset"]["name"] == dataset


@pytest.mark.parametrize("dataset", ["mnist", "cifar10", "celeba"])
def test_what_rae_compares_is_trained_alike(dataset: str) -> None:
    of_rae = [tables for key, tables in PRESETS.items() if key.endswith(f" rae-{dataset}")]
    assert len(of_rae) == 7
    assert_alike(of_rae)


def test_rows_of_table_2_of_dime_are_trained_alike() -> None:
    assert len(TABLE_2) == 9
    assert_alike([PRESETS[key] for key in TABLE_2])


def assert_alike(presets: list[Tables]) -> None:
    """All but the objective's own weights are the same."""
    common = [{**tables, "objective": tables["objective"]["latent_size"]} for tables in presets]
    assert all(tables == common[0] for tables in common)
