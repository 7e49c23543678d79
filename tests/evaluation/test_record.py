"""`metrics.jsonl`: what is kept of numbers, and what is said of a damaged file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dimecli.errors import DimeError
from dimecli.evaluation.record import FILE, Entry, keep, kept
from dimecli.plugin import Measured


def entry(name: str = "m", value: float = 0.5, weights: str = "w", **conditions: Any) -> Entry:
    return Entry.of(Measured(name, value, conditions={"n": 5, **conditions}), {"split": "test"}, "dimecli 0.1", weights)


def test_what_is_kept_comes_back(tmp_path: Path) -> None:
    whole = Entry.of(
        Measured("fd[net:ab]/samples", -1e-300, "lower", "nats", {"n": 5, "of": {"a": [1, None, "ä"]}}, "Über."),
        {"split": "test", "seed": 0},
        "dimecli 0.1",
        "w",
    )
    keep(tmp_path, [whole, entry()])
    keep(tmp_path, [entry("other")])
    assert kept(tmp_path, "w") == [whole, entry(), entry("other")]
    assert len((tmp_path / FILE).read_text(encoding="utf-8").splitlines()) == 3


def test_nothing_was_measured_yet(tmp_path: Path) -> None:
    assert kept(tmp_path, "w") == []
    assert not (tmp_path / FILE).exists()


def test_the_last_of_each_metric_and_conditions_counts(tmp_path: Path) -> None:
    keep(tmp_path, [entry(value=1.0), entry(value=2.0, k=3), entry("other", 3.0), entry(value=4.0)])
    assert [(one.name, one.value) for one in kept(tmp_path, "w")] == [("m", 2.0), ("other", 3.0), ("m", 4.0)]


def test_the_order_of_conditions_makes_no_difference() -> None:
    assert entry(a=1, b=2).key == entry(b=2, a=1).key
    assert entry(a=1).key != entry(a=2).key


def test_numbers_of_other_weights_are_not_shown(tmp_path: Path) -> None:
    keep(tmp_path, [entry(weights="before the training went on"), entry("other")])
    assert [one.name for one in kept(tmp_path, "w")] == ["other"]


def test_a_metrics_own_condition_wins() -> None:
    assert entry(split="train").conditions == {"split": "train", "n": 5}


@pytest.mark.parametrize("end", ["", '{"metric": "m", "val', '{"metric": "m"}'])
def test_a_line_that_a_kill_cut_short_is_removed(tmp_path: Path, end: str) -> None:
    keep(tmp_path, [entry()])
    with (tmp_path / FILE).open("a") as file:
        file.write(end)
    assert kept(tmp_path, "w") == [entry()]
    keep(tmp_path, [entry("other")])
    assert kept(tmp_path, "w") == [entry(), entry("other")]


def test_a_line_cut_by_a_kill_does_not_run_into_the_next(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text('{"metric": "m", "val')
    keep(tmp_path, [entry()])
    assert kept(tmp_path, "w") == [entry()]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"value": "0.5"}, "value: Input should be a valid number"),
        ({"value": None}, "value: Input should be a valid number"),
        ({"value": float("nan")}, "m is nan"),
        ({"value": 10**400}, "m is inf"),
        ({"metric": 5}, "name: Input should be a valid string"),
        ({"direction": "up"}, "direction: Input should be 'higher' or 'lower'"),
        ({"conditions": [1]}, "conditions: Input should be an object"),
    ],
)
def test_a_damaged_line_is_named(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    keep(tmp_path, [entry("other")])
    line = json.dumps(entry().as_json() | change)
    with (tmp_path / FILE).open("a") as file:
        file.write(f"{line}\n")
    with pytest.raises(DimeError) as caught:
        kept(tmp_path, "w")
    assert str(caught.value) == f"{tmp_path / FILE}:2: damaged: {said}; delete that line"


@pytest.mark.parametrize("line", ["", "no JSON", "[]", "5", "{}", '{"value": 1}', "\x00", "[" * 100_000])
def test_a_line_of_something_else_is_named(tmp_path: Path, line: str) -> None:
    (tmp_path / FILE).write_text(f"{line}\n")
    with pytest.raises(DimeError) as caught:
        kept(tmp_path, "w")
    assert str(caught.value).startswith(f"{tmp_path / FILE}:1: damaged: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_only_finite_numbers(value: float) -> None:
    with pytest.raises(DimeError, match=f"^m is {value}$"):
        entry(value=value)


@pytest.mark.parametrize("condition", [float("nan"), {1}, b"x"])
def test_only_conditions_that_are_json(condition: Any) -> None:
    with pytest.raises(DimeError, match=r"^the conditions of m are no JSON: "):
        entry(k=condition)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / FILE).mkdir()
    with pytest.raises(DimeError) as caught:
        kept(tmp_path, "w")
    assert str(caught.value) == f"{tmp_path / FILE} cannot be read: Is a directory"


def test_a_direction_that_is_none_is_not_kept() -> None:
    with pytest.raises(DimeError, match=r"^the direction of m is 'up'; allowed: 'higher', 'lower', None$"):
        Entry.of(Measured("m", 1.0, "up"), {}, "dimecli 0.1", "w")  # type: ignore[arg-type]
