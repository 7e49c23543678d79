"""The page of several runs: what differs between them, their numbers, curves and pictures beside each other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

from dimecli.evaluation.conditions import written
from dimecli.report.beside import Beside, codes, each, interpolations, reconstructions, samples
from dimecli.report.compare import Comparison
from dimecli.report.curves import Curve, draw_curves, read_history
from dimecli.report.one import footer, made
from dimecli.report.page import Block, Page, Pictures, Table, Text, drawing
from dimecli.report.seen import Seen
from dimecli.report.tables import PLAIN, settings
from dimecli.run.run import Run


def several(comparisons: Sequence[Comparison], seen: Mapping[Path, Seen]) -> Page:
    """All sections about the runs; those on other data have sections of their own.

    Args:
        comparisons: What `compare` gave.
        seen: Every run of them, by its folder.
    """
    parts: dict[str, Callable[[], Iterable[Block]]] = {}
    for comparison in comparisons:
        of = f": {comparison.data}" if len(comparisons) > 1 else ""
        beside = {run.label: seen[run.path] for run in comparison.runs}
        parts |= {
            f"Runs{of}": partial(runs, comparison),
            f"Measurements{of}": partial(measurements, comparison),
            f"Training{of}": partial(training, beside),
            f"Samples{of}": partial(samples, beside),
            f"Reconstructions{of}": partial(reconstructions, beside),
            f"Interpolations{of}": partial(interpolations, beside),
            f"Codes{of}": partial(codes, beside),
        }
    data = ", ".join(comparison.data for comparison in comparisons)
    labels = ", ".join(run.label for comparison in comparisons for run in comparison.runs)
    return Page(f"{len(seen)} runs on {data}", labels, made(parts, next(iter(seen.values()))), footer())


def runs(comparison: Comparison) -> Iterator[Block]:
    """Which run has which label, and what differs between them; and how long they trained."""
    heads, rows = settings(comparison)
    records = [run.record for run in comparison.runs]
    took = [
        (str(timedelta(seconds=round(record["results"]["seconds"]))), str(record["results"].get("steps", "")))
        for record in records
    ]
    whole = [(*row, *more) for row, more in zip(rows, took, strict=True)]
    yield Table(
        ("label", *heads[1:], "time", "steps"),
        whole,
        numbers=(len(heads), len(heads) + 1),
        caption="All else is the same.",
    )


def measurements(comparison: Comparison) -> Iterator[Block]:
    """The numbers; each row has the same conditions, and its best number is bold."""
    yield from (Text(run.trouble) for run in comparison.runs if run.trouble)
    if not comparison.rows:
        yield Text("None yet: dime evaluate RUN measures a run.")
        return
    labels = [run.label for run in comparison.runs]
    heads = [PLAIN.head(replace(row, note=0)) for row in comparison.rows]
    yield Table(
        ("metric", *labels),
        [(head, *row.cells) for head, row in zip(heads, comparison.rows, strict=True)],
        numbers=range(1, len(labels) + 1),
        best={(place, run + 1) for place, row in enumerate(comparison.rows) for run in row.best},
        remarks={place: _remarks(row.remarks, labels) for place, row in enumerate(comparison.rows)},
        caption=f"All: {written(comparison.shared)}" if comparison.shared else "",
        marks={place: row.note for place, row in enumerate(comparison.rows)},
        notes=comparison.notes,
    )
    if any(entry is None for row in comparison.rows for entry in row.entries):
        yield Text("An empty cell was not measured under these conditions, or is not defined for that run.")


def _remarks(remarks: Mapping[str, Sequence[int]], labels: Sequence[str]) -> str:
    """Remarks, each with the runs that it is about where it is not about all."""
    if len(remarks) == 1:
        return next(iter(remarks))
    return "; ".join(f"{', '.join(labels[place] for place in places)}: {text}" for text, places in remarks.items())


def training(beside: Beside) -> Iterator[Block]:
    """Validation curves of the terms that have one meaning and one unit in several runs."""
    histories, failed = each(beside, lambda seen: read_history(seen.run.path))
    yield from failed
    curves: dict[str, dict[str, Curve]] = {}
    for label, history in histories.items():
        for term, curve in history.validation.items():
            unit, scale = _unit(term, beside[label].run)
            scaled = Curve(curve.epochs, [scale * value for value in curve.values])
            curves.setdefault(unit, {})[label] = scaled
    shown = {unit: found for unit, found in curves.items() if len(found) > 1}
    if not shown:
        yield Text("No two runs have a term of the same meaning and unit.")
        return
    yield Pictures([drawing(draw_curves(unit, found), f"Validation curves of {unit}") for unit, found in shown.items()])
    yield Text(
        "Values on the validation samples. A reconstruction is a negative log-likelihood summed over the elements of a "
        "sample; other terms have their weights in them, and are beside those of the same objective only."
    )


def _unit(term: str, run: Run) -> tuple[str, float]:
    """What a term is, in words that are the same where two compare, and what brings it to that unit."""
    objective, name = run.experiment.objective, run.record["config"]["objective"]["name"]
    if term == "reconstruction":
        return "reconstruction, nats a sample", run.model.spec.elements if objective.reduction == "mean" else 1
    return f"{term} of {name}, --reduction {objective.reduction}", 1
