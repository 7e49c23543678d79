"""Comparisons as CSV, Markdown, LaTeX and JSON: escaped, and read back."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dimecli.plugin import Measured
from dimecli.report.compare import Comparison, compare
from dimecli.report.tables import LATEX, MARKDOWN, PLAIN, as_csv, as_json, cells, latex, markdown, settings

FinishedRun = Callable[..., Path]
HOSTILE = r"a&b_c%d$e#f{g}h~i^j\k|l<m>n*o`p[q]"


def measured(value: float, name: str = "fd/samples", direction: Any = "lower", unit: str = "", **more: Any) -> Measured:
    return Measured(name, value, direction, unit, {"n": 100, **more})


@pytest.fixture
def comparisons(finished_run: FinishedRun) -> list[Comparison]:
    """Three runs; two numbers of other conditions, one that is missing, and one that is very small."""
    values = (
        [measured(1.5), measured(-2.0, "mi", "higher", "nats"), measured(3e-7, "small", None)],
        [measured(2.5), measured(-1.0, "mi", "higher", "nats")],
        [measured(0.5, n=50), measured(-1.5, "mi", "higher", "nats")],
    )
    objectives = ("ae", HOSTILE, "vae")
    paths = [
        finished_run(f"run-{place}", of, objective={"name": name})
        for place, (of, name) in enumerate(zip(values, objectives, strict=True))
    ]
    return compare(paths)


def test_fewer_are_across(comparisons: list[Comparison], finished_run: FinishedRun) -> None:
    heads, rows = cells(comparisons[0], PLAIN)
    assert heads == ["", "ae", HOSTILE, "vae"]
    assert rows == [
        ["fd/samples, n 100 ↓ [1]", "1.5 *", "2.5", ""],
        ["fd/samples, n 50 ↓ [2]", "", "", "0.5"],
        ["mi (nats) ↑ [1]", "-2", "-1 *", "-1.5"],
        ["small [1]", "3e-07", "", ""],
    ]
    assert comparisons[0].notes == ["n 100", "n 50"]
    few = compare([finished_run(f"few-{place}", [measured(place)]) for place in range(3)])
    heads, rows = cells(few[0], PLAIN)
    assert heads == ["", "fd/samples ↓"]
    assert [row[0] for row in rows] == ["objective 1", "objective 2", "objective 3"]
    assert [row[1] for row in rows] == ["0 *", "1", "2"]


def test_settings_tell_which_run_has_which_label(comparisons: list[Comparison]) -> None:
    heads, rows = settings(comparisons[0])
    assert heads == ["", "objective", "run"]
    assert rows == [["ae", "ae", "run-0"], [HOSTILE, HOSTILE, "run-1"], ["vae", "vae", "run-2"]]


def test_csv_reads_back_with_all_digits(comparisons: list[Comparison]) -> None:
    rows = list(csv.DictReader(io.StringIO(as_csv(comparisons)), strict=True))
    assert [row["run"] for row in rows] == ["run-0", "run-1", "run-2"]
    assert rows[1]["label"] == rows[1]["objective"] == HOSTILE
    assert [row["fd/samples, n 100"] for row in rows] == ["1.5", "2.5", ""]
    assert [row["fd/samples, n 50"] for row in rows] == ["", "", "0.5"]
    assert float(rows[0]["small"]) == 3e-7


def test_csv_of_other_data_has_other_columns(finished_run: FinishedRun) -> None:
    third = 1 / 3
    paths = [
        finished_run("a", [measured(third)], data="0", dataset={"name": "mnist"}),
        finished_run("b", [measured(2.0)], data="1", dataset={"name": "digits"}),
    ]
    rows = list(csv.DictReader(io.StringIO(as_csv(compare(paths))), strict=True))
    assert [row["fd/samples, data mnist"] for row in rows] == [repr(third), ""]
    assert [row["fd/samples, data digits"] for row in rows] == ["", "2.0"]


def unescaped(cell: str) -> str:
    return re.sub(r"\\(.)", r"\1", cell)


def test_markdown_reads_back(comparisons: list[Comparison]) -> None:
    text = markdown(comparisons)
    lines = [re.split(r"(?<!\\) \| ", line.strip("| ")) for line in text.splitlines() if line.startswith("|")]
    assert [unescaped(cell) for cell in lines[0]] == ["ae", HOSTILE, "vae"]  # the empty corner is stripped
    assert len(lines) == 6
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in text.splitlines() if line.startswith("|")} == {5}
    assert lines[2][1] == "**1.5**"
    assert lines[2][0] == "fd/samples, n 100 ↓<sup>1</sup>"
    assert "<sup>2</sup> n 50" in text
    assert "**-1**" in text
    assert "dataset: split test, seed 0" in text


def latex_text(cell: str) -> str:
    names = {"textbackslash": "\\", "textasciitilde": "~", "textasciicircum": "^", "textless": "<", "textgreater": ">"}
    names |= {"textbar": "|"}
    cell = re.sub(r"\\(text\w+)\{\}", lambda found: "\0" + str(ord(names[found[1]])) + "\0", cell)
    cell = cell.replace("{[}", "[")
    cell = re.sub(r"\\([{}$&#%_])", r"\1", cell)
    return re.sub("\0(\\d+)\0", lambda found: chr(int(found[1])), cell)


def test_latex_reads_back(comparisons: list[Comparison]) -> None:
    text = latex(comparisons)
    body = text[text.index(r"\toprule") : text.index(r"\bottomrule")]
    rows = [
        re.split(r"(?<!\\) & ", line.removeprefix("    ").removesuffix(r" \\"))
        for line in body.splitlines()
        if line.endswith(r"\\")
    ]
    assert latex_text(rows[0][2]) == HOSTILE
    assert {len(row) for row in rows} == {4}
    assert rows[1][0] == r"fd/samples, n 100 $\downarrow$\textsuperscript{1}"
    assert rows[1][1:] == [r"$\mathbf{1.5}$", "$2.5$", ""]
    assert rows[3][1:] == ["$-2$", r"$\mathbf{-1}$", "$-1.5$"]
    assert rows[4][1] == r"$3 \times 10^{-7}$"
    assert re.sub(r"\\[{}]", "", text).count("{") == re.sub(r"\\[{}]", "", text).count("}")
    assert r"\begin{tabular}{lrrr}" in text
    assert r"\textsuperscript{2}n 50." in text


@pytest.mark.parametrize("style", [MARKDOWN, LATEX])
def test_no_text_is_an_instruction(style: Any) -> None:
    assert style.text("plain words, 3.5") == "plain words, 3.5"
    assert style.text("a\nb\x1b").isprintable()


def test_json_has_what_is_there(comparisons: list[Comparison]) -> None:
    found = json.loads(json.dumps(as_json(comparisons), allow_nan=False))
    assert [run["label"] for run in found["runs"]] == ["ae", HOSTILE, "vae"]
    assert found["runs"][0]["differing"] == {"objective": {"name": "ae"}}
    first = found["metrics"][0]
    assert first == {
        "metric": "fd/samples",
        "data": "dataset",
        "unit": "",
        "direction": "lower",
        "conditions": {"split": "test", "seed": 0, "n": 100},
        "values": {"ae": 1.5, HOSTILE: 2.5},
        "best": ["ae"],
    }


def test_runs_without_numbers_make_no_table(finished_run: FinishedRun) -> None:
    found = compare([finished_run("a", []), finished_run("b", [])])
    assert (markdown(found), latex(found)) == ("", "")
    assert [row["run"] for row in csv.DictReader(io.StringIO(as_csv(found)))] == ["a", "b"]
    assert as_json(found)["metrics"] == []
