"""What metrics promise to do."""

from __future__ import annotations

import tempfile
from pathlib import Path

from dimecli.errors import DimeError, UserError
from dimecli.plugin import Metric
from dimecli.registry import entry_of
from dimecli.testing.expect import expect, only_own_randomness


def check_metric(metric: Metric, where: str) -> None:
    """Measures tiny runs of every modality, each twice.

    Raises:
        AssertionError: something does not hold; the message says what, and the cure.
        UserError: what the metric needs is not here, and so it refuses every run.
    """
    from dimecli.testing.runs import tiny_runs

    measured, refused = False, ""
    with tempfile.TemporaryDirectory() as folder:
        for name, run in tiny_runs(Path(folder)):
            if not (reason := metric.refusal(run)):
                _check_numbers(metric, run, f"{where} on {name}")
                measured = True
            elif run.model.spec.modality in metric.modalities:
                refused = reason
    if refused and not measured:
        raise UserError(refused)
    expect(measured, f"{where}: it refuses every run", "measure those of some modality")


def _check_numbers(metric: Metric, run: object, where: str) -> None:
    from dimecli.evaluation.record import Entry
    from dimecli.evaluation.subject import Subject
    from dimecli.testing.runs import TinyRun

    assert isinstance(run, TinyRun)
    name = entry_of(metric).name
    with only_own_randomness(where):
        first = list(metric.measure(Subject(run, "", 50)))
    again = list(metric.measure(Subject(run, "", 50)))
    expect(first, f"{where}: no number", "refuse what cannot be measured, in `refusal`")
    numbers = [one.name for one in first]
    expect(len(set(numbers)) == len(numbers), f"{where}: {numbers} are not all different", "name each number")
    for one, other in zip(first, again, strict=True):
        base = one.name.partition("/")[0].partition("[")[0]
        expect(base == name, f"{where}: '{one.name}' is not called after the metric", f"begin it with '{name}'")
        try:
            Entry.of(one, {}, "", "")
        except DimeError as error:
            raise AssertionError(f"{where}: {error}; measure finite numbers, under conditions that are JSON") from error
        expect(
            "n" in one.conditions, f"{where}: '{one.name}' does not say of how many samples", "put n into conditions"
        )
        same = one == other
        expect(
            same, f"{where}: a seed gives two numbers, {one.value} and {other.value}", "draw from `subject.rng` only"
        )
