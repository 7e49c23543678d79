"""The host of metrics: one that fails loses no other, and what is measured is kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dimecli.errors import DimeError, UserError
from dimecli.evaluation.evaluate import Evaluation, evaluate
from dimecli.evaluation.record import kept
from dimecli.evaluation.subject import Subject
from dimecli.plugin import Metric
from dimecli.registry import make
from dimecli.testing.runs import TinyRun, tiny_runs

Install = Callable[..., None]

SOURCE = '''
from pydantic import Field
from dimecli.errors import DimeError, UserError
from dimecli.plugin import Measured, Metric


class First(Metric):
    """The mean of the codes."""

    power: int = Field(1, ge=1, description="Of the codes.")

    def measure(self, subject):
        codes = subject.codes
        yield Measured("first", (codes ** self.power).mean().item(), "lower", "nats", {"n": len(codes)}, "A remark.")


class Last(First):
    """Two numbers and a picture."""

    def measure(self, subject):
        for part in ("a", "b"):
            yield Measured(f"last/{part}", 1.0, conditions={"n": 1})
        subject.files.append(subject.run.path / "last.png")


class Mistaken(Metric):
    """A mistake of the user."""

    def measure(self, subject):
        yield Measured("mistaken", 1.0, conditions={"n": 1})
        raise UserError("-n 5: should be at least 6")


class Failing(Metric):
    """Something fails."""

    def measure(self, subject):
        raise DimeError("the codes are all the same")


class Crashing(Metric):
    """A mistake of the plugin."""

    def measure(self, subject):
        raise ZeroDivisionError("by nothing\\nat all")


class NoNumber(Metric):
    """Not a number."""

    def measure(self, subject):
        return [Measured("no-number", float("nan"), conditions={"n": 1})]


class NoJSON(Metric):
    """Conditions that are no JSON."""

    def measure(self, subject):
        return [Measured("no-json", 1.0, conditions={"n": {1}})]


class Silent(Metric):
    """Nothing."""

    def measure(self, subject):
        return []


class Choosy(Metric):
    """Of sentences."""

    modalities = frozenset({"sentence"})

    def measure(self, subject):
        raise AssertionError("it was refused")


class Confused(Metric):
    """Cannot even say whether it applies."""

    def refusal(self, run):
        return run.no_such_thing

    def measure(self, subject):
        raise AssertionError("it is not asked for")
'''
NAMES = {
    "first": "First",
    "mistaken": "Mistaken",
    "failing": "Failing",
    "crashing": "Crashing",
    "no-number": "NoNumber",
    "no-json": "NoJSON",
    "silent": "Silent",
    "choosy": "Choosy",
    "confused": "Confused",
    "last": "Last",
}


@pytest.fixture(autouse=True)
def metrics(install: Install) -> dict[str, Metric]:
    points = "\n".join(f"{name} = more_metrics:{cls}" for name, cls in NAMES.items())
    install("dime-more", "0.3", {"dimecli.metrics": points}, more_metrics=SOURCE)
    return {name: make("metric", name) for name in NAMES}


@pytest.fixture
def run(tmp_path: Path) -> TinyRun:
    return dict(tiny_runs(tmp_path))["deterministic codes of vectors"]


def names_of(done: Evaluation) -> list[str]:
    return [entry.name for entry in done.entries]


def test_whatever_fails_the_others_are_measured_and_kept(run: TinyRun, metrics: dict[str, Metric]) -> None:
    done = evaluate(Subject(run, n=20), metrics)
    assert names_of(done) == ["first", "last/a", "last/b"]
    assert kept(run.path, run.record["weights"]) == done.entries
    assert done.files == [run.path / "last.png"]
    assert done.left_out == {"choosy": "it is of sentences; this run is of vectors"}
    assert {name: (type(error), str(error)) for name, error in done.failures.items()} == {
        "mistaken": (UserError, "-n 5: should be at least 6"),
        "failing": (DimeError, "the codes are all the same"),
        "crashing": (DimeError, "metric 'crashing' of dime-more 0.3 failed: ZeroDivisionError: by nothing"),
        "no-number": (DimeError, "no-number is nan"),
        "no-json": (
            DimeError,
            "the conditions of no-json are no JSON: Object of type set is not JSON serializable",
        ),
        "silent": (DimeError, "metric 'silent' of dime-more 0.3 gave no number"),
        "confused": (
            DimeError,
            "metric 'confused' of dime-more 0.3 failed: AttributeError: 'TinyRun' object has no attribute "
            "'no_such_thing'",
        ),
    }
    assert isinstance(done.failures["crashing"].__cause__, ZeroDivisionError)


def test_a_number_has_what_decides_it_and_who_measured_it(run: TinyRun, metrics: dict[str, Metric]) -> None:
    subject = Subject(run, n=20, split="validation", seed=3)
    (entry,) = evaluate(subject, {"first": metrics["first"]}).entries
    assert entry.as_json() == {
        "metric": "first",
        "value": pytest.approx(subject.codes.mean().item()),
        "direction": "lower",
        "unit": "nats",
        "conditions": {"split": "validation", "seed": 3, "n": 20},
        "remark": "A remark.",
        "origin": "dime-more 0.3",
        "weights": run.record["weights"],
    }


def test_two_evaluations_keep_both_numbers_and_the_same_conditions_replace(
    run: TinyRun, metrics: dict[str, Metric]
) -> None:
    first = {"first": metrics["first"]}
    for seed in (0, 1):
        evaluate(Subject(run, n=20, seed=seed), first)
    found = kept(run.path, run.record["weights"])
    assert [entry.conditions["seed"] for entry in found] == [0, 1]
    again = evaluate(Subject(run, n=20), {"first": make("metric", "first", power=2)}).entries  # as if of a new version
    assert again[0].value != found[0].value
    assert kept(run.path, run.record["weights"]) == [found[1], *again]


def test_a_full_disk_is_told_of_each_metric(
    run: TinyRun, metrics: dict[str, Metric], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, mode: str, encoding: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "open", full)
    done = evaluate(Subject(run, n=20), {name: metrics[name] for name in ("first", "last")})
    said = f"cannot write {run.path / 'metrics.jsonl'}: No space left on device"
    assert {name: str(error) for name, error in done.failures.items()} == {"first": said, "last": said}
    assert done.entries == []


def test_time_of_what_several_share_is_not_that_of_the_first_that_needs_it(
    run: TinyRun, metrics: dict[str, Metric], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    encode = run.encode

    def slow_encode(x: object) -> object:
        nonlocal now
        now += 100
        return encode(x)  # type: ignore[arg-type]

    monkeypatch.setattr("time.monotonic", lambda: now)
    monkeypatch.setattr(run, "encode", slow_encode)
    done = evaluate(Subject(run, n=20), metrics)
    assert done.seconds["codes of test samples"] == 100
    assert done.seconds["first"] == 0
    assert "choosy" not in done.seconds


def test_an_interruption_is_no_failure_of_a_metric(run: TinyRun, metrics: dict[str, Metric]) -> None:
    subject = Subject(run, n=20)

    def interrupt() -> object:
        raise KeyboardInterrupt

    type_of = type("Interrupted", (Subject,), {"codes": property(lambda self: interrupt())})
    subject.__class__ = type_of
    with pytest.raises(KeyboardInterrupt):
        evaluate(subject, {name: metrics[name] for name in ("last", "first")})
    assert [entry.name for entry in kept(run.path, run.record["weights"])] == ["last/a", "last/b"]


def test_a_damaged_record_is_told_before_any_work(run: TinyRun, metrics: dict[str, Metric]) -> None:
    file = run.path / "metrics.jsonl"
    file.write_text("{}\n")
    with pytest.raises(DimeError, match=r"metrics\.jsonl:1: damaged: .*; delete that line$"):
        evaluate(Subject(run), metrics)
    assert file.read_text() == "{}\n"
