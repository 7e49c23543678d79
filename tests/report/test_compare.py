"""Runs beside each other: what differs, and that numbers of other conditions are never beside each other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dimecli.errors import UserError
from dimecli.plugin import Measured
from dimecli.report.compare import compare

FinishedRun = Callable[..., Path]


def fd(value: float, name: str = "fd[cnn:ab]/samples", **conditions: Any) -> Measured:
    return Measured(name, value, "lower", conditions={"n": 100, **conditions})


def test_numbers_of_the_same_conditions_are_a_row(finished_run: FinishedRun) -> None:
    paths = [finished_run(f"run-{place}", [fd(value)]) for place, value in enumerate((3.0, 1.5, 2.0))]
    (found,) = compare(paths)
    (row,) = found.rows
    assert row.cells == ["3", "1.5", "2"]
    assert (row.direction, row.best) == ("lower", {1})
    assert (row.differing, row.note, found.notes) == ("", 0, [])
    assert found.shared == {"split": "test", "seed": "0", "n": "100"}


@pytest.mark.parametrize(
    ("other", "told"),
    [
        ({"n": 50}, ["n 50", "n 100"]),
        ({"density": {"name": "gmm", "components": 10}}, ["density gmm", ""]),
        ({"density": {"name": "gmm", "components": 20}}, ["density gmm (components 20)", ""]),
        ({"density": {"name": "gone", "width": 1}}, ["density gone (width 1)", ""]),
        ({"n": 100.5}, ["n 100.5", "n 100"]),
        ({"extra": None}, ["extra none", ""]),
    ],
)
def test_numbers_of_other_conditions_are_another_row(
    finished_run: FinishedRun, other: dict[str, Any], told: list[str]
) -> None:
    paths = [finished_run("a", [fd(3.0)]), finished_run("b", [fd(1.0, **other)])]
    (found,) = compare(paths)
    rows = {row.differing: row.cells for row in found.rows}
    assert rows == {told[0]: ["", "1"], told[1]: ["3", ""]}
    assert all(row.best == set() for row in found.rows)
    notes = {row.differing: row.note for row in found.rows}
    assert [found.notes[note - 1] if note else "" for note in (notes[told[0]], notes[told[1]])] == told


def test_other_data_are_another_comparison(finished_run: FinishedRun) -> None:
    runs = [("a", "0", "mnist"), ("b", "1", "mnist"), ("c", "0", "mnist"), ("d", "2", "digits")]
    paths = [finished_run(name, [fd(1.0)], data=data, dataset={"name": of}) for name, data, of in runs]
    found = compare(paths)
    assert [(of.data, [run.path.name for run in of.runs]) for of in found] == [
        ("mnist (1)", ["a", "c"]),
        ("mnist (2)", ["b"]),
        ("digits", ["d"]),
    ]
    assert [len(of.rows[0].entries) for of in found] == [2, 1, 1]


def test_runs_are_labelled_by_what_tells_them_apart(finished_run: FinishedRun) -> None:
    configs: list[dict[str, Any]] = [
        {"objective": {"name": "ae", "latent_size": 16}, "train": {"seed": 0}},
        {"objective": {"name": "dime", "latent_size": 16, "lambda": 0.0}, "train": {"seed": 0}},
        {"objective": {"name": "dime", "latent_size": 16, "lambda": 0.003}, "train": {"seed": 0}},
        {"objective": {"name": "vae", "latent_size": 16}, "network": {"name": "mlp"}, "train": {"seed": 0}},
        {"objective": {"name": "vae", "latent_size": 16}, "network": {"name": "conv"}, "train": {"seed": 0}},
    ]
    paths = [finished_run(f"run-{place}", [], **config) for place, config in enumerate(configs)]
    (found,) = compare(paths)
    assert [run.label for run in found.runs] == [
        "ae",
        "dime lambda 0",
        "dime lambda 0.003",
        "vae network mlp",
        "vae network conv",
    ]
    assert found.runs[1].settings == {"objective": "dime, lambda 0", "network": "network"}
    assert found.runs[4].settings == {"objective": "vae", "network": "conv"}


def test_what_tracked_a_run_does_not_tell_it_apart(finished_run: FinishedRun) -> None:
    tracked = {"tracker": {"name": "csv", "csv": {}}}
    paths = [
        finished_run("a", [], objective={"name": "ae"}),
        finished_run("b", [], objective={"name": "ae"}, **tracked),
    ]
    (found,) = compare(paths)
    assert [(run.label, run.differing) for run in found.runs] == [("ae 1", {}), ("ae 2", {})]


def test_labels_that_would_be_long_or_the_same_are_numbers(finished_run: FinishedRun) -> None:
    many = {f"option_{letter}": 1.0 for letter in "abcd"}
    paths = [
        finished_run("a", [], objective={"name": "dime", **many}),
        finished_run("b", [], objective={"name": "dime", **dict.fromkeys(many, 2.0)}),
        finished_run("c", [], objective={"name": "ae"}),
        finished_run("d/c", [], objective={"name": "ae"}),
    ]
    (found,) = compare(paths)
    assert [run.label for run in found.runs] == ["dime 1", "dime 2", "ae 1", "ae 2"]


def test_a_run_that_is_named_twice_is_there_once(finished_run: FinishedRun) -> None:
    path = finished_run("a", [fd(1.0)])
    (found,) = compare([path, path])
    assert len(found.runs) == 1


@pytest.mark.parametrize(
    ("direction", "values", "best"),
    [
        ("higher", (1.0, 2.0, 2.00001), {1, 2}),  # shown as the same
        ("lower", (1.0, 2.0, 3.0), {0}),
        (None, (1.0, 2.0, 3.0), set()),
        ("higher", (2.0, 2.0, 2.0), set()),
    ],
)
def test_the_best(finished_run: FinishedRun, direction: Any, values: tuple[float, ...], best: set[int]) -> None:
    measured = [Measured("m", value, direction, conditions={"n": 1}) for value in values]
    (found,) = compare([finished_run(str(place), [one]) for place, one in enumerate(measured)])
    assert found.rows[0].best == best


def test_metrics_are_chosen_by_plugin_number_or_name_in_the_order_given(finished_run: FinishedRun) -> None:
    names = ("fd[cnn:ab]/samples", "fd[cnn:ab]/interpolation", "mi/ksg", "mi/lower", "norms/mean")
    path = finished_run("a", [fd(1.0, name) for name in names])
    chosen = [row.name for row in compare([path], ["norms", "mi/ksg", "fd"])[0].rows]
    assert chosen == ["norms/mean", "mi/ksg", "fd[cnn:ab]/interpolation", "fd[cnn:ab]/samples"]
    assert [row.name for row in compare([path], ["fd[cnn:ab]"])[0].rows] == [names[1], names[0]]
    with pytest.raises(
        UserError, match=r"^--metric norm: no such number was measured of these runs. Did you mean 'norms'\?"
    ):
        compare([path], ["norm"])


def test_remarks_say_whom_they_are_about(finished_run: FinishedRun) -> None:
    measured = [Measured("m", 1.0, conditions={"n": 1}, remark=text) for text in ("x", "y", "x", "")]
    (found,) = compare([finished_run(str(place), [one]) for place, one in enumerate(measured)])
    assert found.rows[0].remarks == {"x": [0, 2], "y": [1]}


def test_a_run_that_is_not_finished(finished_run: FinishedRun) -> None:
    with pytest.raises(UserError, match=r"^run a is failed, not finished; only finished runs are compared$"):
        compare([finished_run("a", [], state="failed")])


def test_damaged_numbers_hurt_no_other_run(finished_run: FinishedRun) -> None:
    paths = [finished_run("a", [fd(1.0)]), finished_run("b", [fd(2.0)])]
    with (paths[1] / "metrics.jsonl").open("a") as file:
        file.write("{\n")
    (found,) = compare(paths)
    assert found.rows[0].cells == ["1", ""]
    assert "metrics.jsonl:2: damaged" in found.runs[1].trouble
    assert found.unmeasured == []


def test_numbers_of_other_weights_are_not_shown(finished_run: FinishedRun) -> None:
    path = finished_run("a", [fd(1.0)])
    path.joinpath("run.json").write_text(
        path.joinpath("run.json").read_text().replace('"weights": "2"', '"weights": "3"')
    )
    (found,) = compare([path])
    assert (list(found.rows), found.unmeasured) == ([], list(found.runs))
