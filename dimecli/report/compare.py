"""Several runs beside each other: what differs between them, and their numbers under equal conditions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dimecli.errors import DimeError, UserError, did_you_mean
from dimecli.evaluation.conditions import flat, number, written
from dimecli.evaluation.record import Entry, kept
from dimecli.report.labels import Options, flattened, labels_of, options_of
from dimecli.run.folder import read_record
from dimecli.run.record import Record


@dataclass(frozen=True)
class Compared:
    """A run among others.

    Args:
        path: Its folder.
        record: Its `run.json`.
        entries: What was measured of it.
        label: Its objective, and what tells it from other runs of that objective; no two runs have the same.
        differing: Its options, without those that all runs have alike.
        trouble: Why its numbers cannot be read.
    """

    path: Path
    record: Record
    entries: Sequence[Entry]
    label: str
    differing: Options
    trouble: str = ""

    @property
    def settings(self) -> dict[str, str]:
        """What differs, as a line for each table: `objective` is `dime, lambda 0.01`."""
        tables = dict.fromkeys(table for table, _ in self.differing)
        return {table: written(options_of(self.differing, table)).removeprefix("name ") for table in tables}


@dataclass(frozen=True)
class Row:
    """One number of all runs, measured under the same conditions.

    Args:
        name: The metric's name.
        conditions: All of them, written out.
        entries: One for each run; None where it was not measured, or does not apply.
        differing: The conditions that tell it from another row of the same name.
        note: The number of its conditions among those of `Comparison.notes`; 0 where it has none of its own.
    """

    name: str
    conditions: Mapping[str, str]
    entries: Sequence[Entry | None]
    differing: str = ""
    note: int = 0

    @property
    def unit(self) -> str:
        """Of the numbers."""
        return next(entry.unit for entry in self.entries if entry)

    @property
    def direction(self) -> str | None:
        """Which way is better."""
        return next(entry.direction for entry in self.entries if entry)

    @property
    def cells(self) -> list[str]:
        """The numbers as they are shown; empty where there is none."""
        return [number(entry.value) if entry else "" for entry in self.entries]

    @property
    def best(self) -> set[int]:
        """The places of the best number, and of those that are shown as the same; none where all are."""
        values = {place: entry.value for place, entry in enumerate(self.entries) if entry}
        if self.direction is None or len(set(map(number, values.values()))) < 2:
            return set()
        best = (max if self.direction == "higher" else min)(values.values())
        return {place for place, value in values.items() if number(value) == number(best)}

    @property
    def remarks(self) -> dict[str, list[int]]:
        """What to know of the numbers, each with the places of those that it is said of."""
        found: dict[str, list[int]] = {}
        for place, entry in enumerate(self.entries):
            if entry and entry.remark:
                found.setdefault(entry.remark, []).append(place)
        return found


@dataclass(frozen=True)
class Comparison:
    """Runs on the same data.

    Args:
        data: What the data are called; no two comparisons have the same.
        runs: The runs.
        rows: Their numbers; those with different conditions are different rows.
        shared: The conditions that all rows share.
        notes: The other conditions of rows, each set once.
    """

    data: str
    runs: Sequence[Compared]
    rows: Sequence[Row]
    shared: Mapping[str, str]
    notes: Sequence[str]

    @property
    def unmeasured(self) -> list[Compared]:
        """The runs of which nothing was measured."""
        return [run for run in self.runs if not (run.entries or run.trouble)]


def compare(paths: Iterable[Path], metrics: Sequence[str] = ()) -> list[Comparison]:
    """Put runs beside each other; those on different samples are compared apart.

    Args:
        paths: Folders of finished runs, each once.
        metrics: Names, of metrics or of single numbers, in the order wanted; none are all.

    Raises:
        UserError: a run is not finished, or nothing of that name was measured of any of them.
        DimeError: the record of a run is damaged.
    """
    runs = _read(list(dict.fromkeys(paths)))
    known = {entry.name for run in runs for entry in run.entries}
    for name in metrics:
        if not any(_is_of(metric, name) for metric in known):
            allowed = known | {_plugin(metric) for metric in known}
            raise UserError(f"--metric {name}: no such number was measured of these runs.{did_you_mean(name, allowed)}")
    groups: dict[str, list[Compared]] = {}
    for run in runs:
        groups.setdefault(run.record["data"]["fingerprints"]["train"], []).append(run)
    names = [_data(group[0].record) for group in groups.values()]
    return [
        _compared(f"{name} ({names[:place].count(name) + 1})" if names.count(name) > 1 else name, group, metrics)
        for place, (name, group) in enumerate(zip(names, groups.values(), strict=True))
    ]


def _read(paths: Sequence[Path]) -> list[Compared]:
    records = [read_record(path) for path in paths]
    for path, record in zip(paths, records, strict=True):
        if record["state"] != "finished":
            raise UserError(f"run {path.name} is {record['state']}, not finished; only finished runs are compared")
    every = [flattened(record["config"]) for record in records]
    differing = [
        {key: value for key, value in options.items() if any(other.get(key) != value for other in every)}
        for options in every
    ]
    labels = labels_of([record["config"]["objective"]["name"] for record in records], every)
    return [
        Compared(path, record, entries, label, options, trouble)
        for path, record, label, options, (entries, trouble) in zip(
            paths, records, labels, differing, map(_numbers, paths, records), strict=True
        )
    ]


def _numbers(path: Path, record: Record) -> tuple[list[Entry], str]:
    """What was measured of a run, or why that cannot be read."""
    try:
        return kept(path, record["weights"]), ""
    except DimeError as error:
        return [], str(error)


def _compared(data: str, runs: Sequence[Compared], metrics: Sequence[str]) -> Comparison:
    """The rows of runs on the same data, with their conditions told once."""
    found: dict[str, list[Entry | None]] = {}
    for place, run in enumerate(runs):
        for entry in run.entries:
            found.setdefault(entry.key, [None] * len(runs))[place] = entry
    rows = [_row(entries) for _, entries in sorted(found.items())]
    order = {name: place for place, name in enumerate(metrics)}
    if metrics:
        rows = [row for row in rows if any(_is_of(row.name, name) for name in order)]
        rows.sort(key=lambda row: min(place for name, place in order.items() if _is_of(row.name, name)))
    first = rows[0].conditions if rows else {}
    shared = {key: value for key, value in first.items() if all(row.conditions.get(key) == value for row in rows)}
    own = [written({key: value for key, value in row.conditions.items() if key not in shared}) for row in rows]
    notes = list(dict.fromkeys(filter(None, own)))
    return Comparison(
        data=data,
        runs=runs,
        rows=[
            Row(row.name, row.conditions, row.entries, _telling(row, rows), notes.index(note) + 1 if note else 0)
            for row, note in zip(rows, own, strict=True)
        ],
        shared=shared,
        notes=notes,
    )


def _row(entries: Sequence[Entry | None]) -> Row:
    first = next(entry for entry in entries if entry)
    return Row(first.name, dict(flat(first.conditions)), entries)


def _telling(row: Row, rows: Iterable[Row]) -> str:
    """The conditions of a row in which those of its name differ."""
    others = [other.conditions for other in rows if other.name == row.name]
    keys = [key for key, value in row.conditions.items() if any(other.get(key) != value for other in others)]
    return written({key: row.conditions[key] for key in keys})


def _data(record: Record) -> str:
    """What the data of a run are called, by the dataset or by the grammar of its sentences."""
    dataset = record["config"]["dataset"]
    return str(dataset.get("grammar") or dataset["name"])


def _plugin(name: str) -> str:
    """The metric that gives the number of that name: what stands before `[extractor]/which`."""
    return name.partition("/")[0].partition("[")[0]


def _is_of(name: str, wanted: str) -> bool:
    return wanted in (name, name.partition("/")[0], _plugin(name))
