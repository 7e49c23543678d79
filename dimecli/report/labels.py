"""What runs are called where several are beside each other: by what tells them apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dimecli.evaluation.conditions import written
from dimecli.fields import show

_LONGEST = 30  # letters of a label that is made of options; longer ones are numbers instead

Options = dict[tuple[str, str], str]
"""Every option of a run by its table and its name, `name` being the name of the plugin."""


def flattened(config: Mapping[str, Mapping[str, Any]]) -> Options:
    """The options of the tables of a `run.json`; without those of trackers, which decide nothing of the run."""
    tables = {table: options for table, options in config.items() if table != "tracker"}
    return {(table, key): show(value) for table, options in tables.items() for key, value in options.items()}


def options_of(options: Options, table: str) -> dict[str, str]:
    """Those of one table."""
    return {key: value for (of, key), value in options.items() if of == table}


def labels_of(objectives: Sequence[str], options: Sequence[Options]) -> list[str]:
    """Objectives, with the options that tell those of one name apart; with numbers, where that is long or not so."""
    labels = []
    for objective, own in zip(objectives, options, strict=True):
        alike = [of for name, of in zip(objectives, options, strict=True) if name == objective]
        telling = {
            table if key == "name" else key: value
            for (table, key), value in own.items()
            if any(of.get((table, key)) != value for of in alike)
        }
        labels.append(f"{objective} {written(telling)}".strip())
    for objective in set(objectives):
        places = [place for place, name in enumerate(objectives) if name == objective]
        found = [labels[place] for place in places]
        if len(set(found)) < len(found) or (len(found) > 1 and max(map(len, found)) > _LONGEST):
            for count, place in enumerate(places, 1):
                labels[place] = f"{objective} {count}"
    return labels
