"""Numbers that were measured, as a table on the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dimecli.cli.common import print_table
from dimecli.evaluation.conditions import flat, number, written

if TYPE_CHECKING:
    from dimecli.evaluation.record import Entry

_BETTER = {"higher": "higher is better", "lower": "lower is better", None: ""}


def print_measured(entries: Sequence[Entry]) -> None:
    """Prints the numbers with their units and conditions; conditions that all share are a line of their own."""
    if not entries:
        return
    conditions = [dict(flat(entry.conditions)) for entry in entries]
    shared = {key: value for key, value in conditions[0].items() if all(of.get(key) == value for of in conditions)}
    rows = (
        (
            entry.name,
            number(entry.value),
            entry.unit,
            _BETTER[entry.direction],
            written({key: value for key, value in of.items() if key not in shared}),
        )
        for entry, of in zip(entries, conditions, strict=True)
    )
    print_table(("metric", "value", "unit", "", "conditions"), rows, [entry.remark for entry in entries])
    print(f"all: {written(shared)}")
