"""The history of a training, read and drawn."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dimecli.errors import DimeError
from dimecli.report.curves import Curve, draw_curves, panels, plot_curves, read_history


def write(path: Path, *records: Any) -> Path:
    (path / "history.jsonl").write_text("".join(f"{json.dumps(record)}\n" for record in records))
    return path


def epoch(number: int, share: dict[str, float] | None = None, **terms: float) -> dict[str, Any]:
    total = {**terms, "total": sum(terms.values())}
    shares = {"gradient_share": share} if share else {}
    return {"epoch": number, "step": 10 * number, "train": total, "validation": {**total}, **shares}


def test_every_term_of_every_epoch(tmp_path: Path) -> None:
    records = [
        epoch(1, {"reconstruction": 0.9, "kl": 0.1}, reconstruction=8.0, kl=2.0),
        epoch(2, reconstruction=4.0, kl=1.0),
    ]
    history = read_history(write(tmp_path, *records))
    assert history.train["reconstruction"] == Curve([1, 2], [8, 4])
    assert history.validation["total"] == Curve([1, 2], [10, 5])
    assert history.shares["kl"] == Curve([1], [0.1])
    assert history.terms == ["reconstruction", "kl", "total"]
    found = panels(history)
    assert list(found) == [*history.terms, "share of the encoder's gradient"]
    assert found["kl"] == {"training": Curve([1, 2], [2, 1]), "validation": Curve([1, 2], [2, 1])}
    assert found["share of the encoder's gradient"] == history.shares


def test_the_picture_has_a_panel_for_each_term(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Any] = []

    def write_figure(figure: Any, file: Path) -> Path:
        drawn.append(figure)
        return file

    monkeypatch.setattr("dimecli.report.curves.write_figure", write_figure)
    monkeypatch.setattr("dimecli.report.curves.title_of", lambda run, what: what)
    write(tmp_path, epoch(1, {"reconstruction": 0.9, "kl": 0.1}, reconstruction=8.0, kl=2.0))
    run: Any = SimpleNamespace(path=tmp_path)
    assert plot_curves(run) == tmp_path / "figures" / "curves.png"
    titles = [axes.get_title() for axes in drawn[0].axes]
    assert titles == ["reconstruction", "kl", "total", "share of the encoder's gradient"]
    assert drawn[0].axes[3].get_ylim() == (-0.03, 1.03)
    assert [line.get_label() for line in drawn[0].axes[1].get_lines()] == ["training", "validation"]


def test_a_total_of_one_term_says_nothing_more(tmp_path: Path) -> None:
    history = read_history(write(tmp_path, epoch(1, {"reconstruction": 1.0}, reconstruction=8.0)))
    assert history.terms == ["reconstruction"]
    assert list(panels(history)) == ["reconstruction"]


@pytest.mark.parametrize(
    ("values", "scale"),
    [((100.0, 1.0), "log"), ((100.0, 10.0), "linear"), ((100.0, -1.0), "linear"), ((100.0, 0.0), "linear")],
)
def test_positive_values_that_span_orders_have_a_logarithmic_axis(
    tmp_path: Path, values: tuple[float, ...], scale: str
) -> None:
    records = [epoch(number, reconstruction=value) for number, value in enumerate(values, 1)]
    found = panels(read_history(write(tmp_path, *records)))
    assert draw_curves("reconstruction", found["reconstruction"]).axes[0].get_yscale() == scale


def test_runs_beside_each_other() -> None:
    figure = draw_curves("kl", {"vae": Curve([1, 2], [3, 2]), "b": Curve([1], [5])})
    lines = figure.axes[0].get_lines()
    assert [line.get_label() for line in lines] == ["vae", "b"]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("{", "JSONDecodeError"),
        ("[]", "TypeError"),
        ("{}", "KeyError"),
        ('{"epoch": 2, "train": {"a": "x"}}', "ValueError"),
        ('{"epoch": 2, "train": {"a": NaN}}', "ValueError: train.a is nan"),
        ('{"epoch": 2, "train": [1]}', "AttributeError"),
    ],
)
def test_damage_is_told_with_its_line(tmp_path: Path, line: str, says: str) -> None:
    write(tmp_path, epoch(1, reconstruction=1.0))
    with (tmp_path / "history.jsonl").open("a") as file:
        file.write(line + "\n")
    with pytest.raises(DimeError, match=rf"history\.jsonl:2: damaged: {says}"):
        read_history(tmp_path)


def test_no_history(tmp_path: Path) -> None:
    with pytest.raises(DimeError, match=r"history\.jsonl has no epoch$"):
        read_history(tmp_path)


def test_a_line_that_a_kill_cut_short_does_not_count(tmp_path: Path) -> None:
    write(tmp_path, epoch(1, reconstruction=1.0))
    with (tmp_path / "history.jsonl").open("a") as file:
        file.write('{"epoch": 2, "tra')
    assert read_history(tmp_path).train["reconstruction"].epochs == [1]
