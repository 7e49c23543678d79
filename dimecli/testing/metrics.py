"""What metrics promise to do."""

from __future__ import annotations

import re
import reprlib
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dimecli.errors import DimeError, UserError
from dimecli.plugin import Measured, Metric
from dimecli.registry import entry_of
from dimecli.testing.contract import Contract
from dimecli.testing.expect import expect, only_own_randomness

if TYPE_CHECKING:
    from dimecli.testing.runs import TinyRun

_SAMPLES = 50
_UNMOVED = 1e-3  # relative to the number: rounding moves by less what a change of scale leaves as it is


def check_metric(contract: Contract, metric: Metric) -> None:
    """Measures tiny runs of every modality, each twice, and then runs in which something is made worse."""
    from dimecli.testing.runs import tiny_runs

    with tempfile.TemporaryDirectory() as folder:
        with contract.needed("it measures runs of some modality"):
            accepted = _accepted(metric, tiny_runs(Path(folder)))
        for name, run in accepted:
            with contract.section(f"on {name}"):
                _check_numbers(contract, metric, run)
        with contract.promise("what has a direction becomes worse where a run does"):
            _check_directions(metric, accepted)


def _accepted(metric: Metric, runs: Iterable[tuple[str, TinyRun]]) -> list[tuple[str, TinyRun]]:
    """The runs that it measures, with their names.

    Raises:
        UserError: what the metric needs is not here, and so it refuses every run.
    """
    accepted, refused = [], ""
    for name, run in runs:
        if not (reason := metric.refusal(run)):
            accepted.append((name, run))
        elif run.model.spec.modality in metric.modalities:
            refused = reason
    if refused and not accepted:
        raise UserError(refused)
    expect(accepted, "it refuses every run", "measure those of some modality")
    return accepted


def _measure(metric: Metric, run: TinyRun) -> list[Measured]:
    from dimecli.evaluation.subject import Subject

    measured = metric.measure(Subject(run, "", _SAMPLES))
    found = list(measured) if isinstance(measured, Iterable) else [measured]
    right = isinstance(measured, Iterable) and all(isinstance(one, Measured) for one in found)
    expect(right, f"measure gives {reprlib.repr(measured)}", "yield Measured(name, value, ...)")
    return found


def _check_numbers(contract: Contract, metric: Metric, run: TinyRun) -> None:
    from dimecli.evaluation.record import Entry

    name = entry_of(metric).name
    with contract.needed("it gives numbers, each with a name of its own"), only_own_randomness():
        found = _measure(metric, run)
        expect(found, "no number", "refuse what cannot be measured, in `refusal`")
        numbers = [one.name for one in found]
        expect(len(set(numbers)) == len(numbers), f"{numbers} are not all different", "name each number")
    with contract.promise("its numbers are called after it"):
        for one in found:
            base = one.name.partition("/")[0].partition("[")[0]
            expect(base == name, f"'{one.name}' is not", f"begin it with '{name}'")
    with contract.promise("they are finite, under conditions that are JSON"):
        for one in found:
            try:
                Entry.of(one, {}, "", "")
            except DimeError as error:
                raise AssertionError(f"{error}; measure finite numbers, under conditions that are JSON") from error
    with contract.promise("they say of how many samples they are"):
        for one in found:
            expect("n" in one.conditions, f"'{one.name}' does not", "put n into conditions")
    with contract.promise("the same seed gives the same numbers"):
        for one, other in zip(found, _measure(metric, run), strict=True):
            wrong = f"'{one.name}' is {one.value} and {other.value}"
            expect(one == other, wrong, "draw from `subject.rng` only")


@dataclass(frozen=True)
class _Change:
    """How a number changes where a run becomes worse."""

    where: str
    what: str
    worse: float
    """By how much the number becomes worse; negative where it becomes better, 0 where it stays."""


def _check_directions(metric: Metric, accepted: Sequence[tuple[str, TinyRun]]) -> None:
    """A number may gain by some change, but then loses by another; tried on one run of each modality.

    Raises:
        UserError: nothing that is tried moves it.
    """
    from dimecli.testing.planted import copying, trained, worse

    first = {run.model.spec.modality: (name, run) for name, run in reversed(accepted)}
    runs = [(name, trained(name, run)) for name, run in first.values()]
    if unmoved := _judged(_changes(metric, runs, worse)):
        changes = _changes(metric, runs, copying)
        unmoved = _judged({number: changes[number] for number in unmoved})
    if unmoved:
        raise UserError(f"{', '.join(sorted(unmoved))}: nothing that can be made worse here moves it")


def _judged(changes: dict[str, list[_Change]]) -> set[str]:
    """The numbers that stay where they are.

    Raises:
        AssertionError: a number becomes better on some run, and worse by nothing.
    """
    for number, found in changes.items():
        for where in dict.fromkeys(change.where for change in found):
            there = sorted((change for change in found if change.where == where), key=lambda change: change.worse)
            best, worst = there[0], there[-1]
            wrong = f"on {where}, '{number}' becomes better by {-best.worse:.3g} with {best.what}, and worse by nothing"
            right = best.worse >= 0 or worst.worse > 0
            expect(right, wrong, "turn its direction, or leave it None where neither way is better")
    return {number for number, found in changes.items() if not any(change.worse for change in found)}


def _changes(
    metric: Metric, runs: list[tuple[str, TinyRun]], made: Callable[[TinyRun], Iterator[tuple[str, TinyRun]]]
) -> dict[str, list[_Change]]:
    """What becomes of the numbers with a direction, `mine/samples` for `mine[values]/samples`.

    A change that the metric refuses to measure, and says so, is left out.
    """
    found: dict[str, list[_Change]] = {}
    for where, run in runs:
        before = {one.name: one for one in _measure(metric, run) if one.direction is not None}
        for number in before:
            found.setdefault(_plain(number), [])
        for what, other in made(run) if before else ():
            with suppress(DimeError):
                for one in _measure(metric, other):
                    if one.name in before:
                        found[_plain(one.name)].append(_Change(where, what, _worse(before[one.name], one.value)))
    return found


def _plain(number: str) -> str:
    return re.sub(r"\[.*?\]", "", number)


def _worse(before: Measured, after: float) -> float:
    difference = (after - before.value) * (-1 if before.direction == "higher" else 1)
    return difference if abs(difference) > _UNMOVED * max(abs(before.value), abs(after)) else 0.0
