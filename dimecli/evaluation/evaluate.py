"""The host of metrics: each is measured, told and kept by itself, so that one that fails loses no other."""

from __future__ import annotations

import reprlib
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from dimecli.errors import DimeError
from dimecli.evaluation.record import Entry, keep, kept
from dimecli.evaluation.subject import Subject
from dimecli.plugin import Measured, Metric
from dimecli.registry import entry_of


@dataclass
class Evaluation:
    """What came of measuring.

    Args:
        entries: The numbers, in the order in which they were measured.
        failures: Why a metric gave none, by its name.
        left_out: Why a metric does not apply to the run, by its name.
        seconds: Wall time of each metric, and of the parts that several share.
        files: Pictures that metrics wrote.
    """

    entries: list[Entry] = field(default_factory=list)
    failures: dict[str, DimeError] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    files: list[Path] = field(default_factory=list)


def evaluate(subject: Subject, metrics: Mapping[str, Metric]) -> Evaluation:
    """Measure; every metric's numbers are kept in the run's folder as soon as they are there.

    Args:
        subject: What is measured.
        metrics: By their names.

    Raises:
        DimeError: the numbers that the run has are damaged, told before any work.
    """
    done = Evaluation()
    kept(subject.run.path, subject.run.record["weights"])
    with subject.reporter.progress("measuring", len(metrics), "metric", transient=True) as bar:
        for number, (name, metric) in enumerate(metrics.items()):
            bar.update(number)
            try:
                if reason := metric.refusal(subject.run):
                    done.left_out[name] = reason
                else:
                    with _timed(done, subject, name):
                        done.entries += _measure(subject, metric)
            except DimeError as error:
                done.failures[name] = error
            except Exception as error:  # of a plugin: whatever it is, the others go on
                cause = f"{type(error).__name__}: {error}".strip().partition("\n")[0]
                failure = DimeError(f"metric '{name}' of {entry_of(metric).origin} failed: {cause}")
                failure.__cause__ = error
                done.failures[name] = failure
        bar.update(len(metrics))
    done.seconds |= subject.seconds
    done.files = subject.files
    return done


def _measure(subject: Subject, metric: Metric) -> list[Entry]:
    """The numbers of one metric, kept in the run's folder.

    Raises:
        DimeError: there are none, one is not finite, or they cannot be written.
    """
    run, entry = subject.run, entry_of(metric)
    given = {"split": subject.split, "seed": subject.seed}
    measured = metric.measure(subject)
    numbers = list(measured) if isinstance(measured, Iterable) else [measured]
    if not isinstance(measured, Iterable) or not all(isinstance(number, Measured) for number in numbers):
        raise DimeError(f"{entry}: measure gives {reprlib.repr(measured)}; yield Measured(name, value, ...)")
    entries = [Entry.of(one, given, entry.origin, run.record["weights"]) for one in numbers]
    if not entries:
        raise DimeError(f"metric '{entry.name}' of {entry.origin} gave no number")
    keep(run.path, entries)
    return entries


@contextmanager
def _timed(done: Evaluation, subject: Subject, name: str) -> Iterator[None]:
    """Tells the time of a metric, less that of the shared parts which it was the first to need."""
    started, shared = time.monotonic(), sum(subject.seconds.values())
    try:
        yield
    finally:
        done.seconds[name] = time.monotonic() - started - (sum(subject.seconds.values()) - shared)
