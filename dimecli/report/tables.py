"""Comparisons as text: what a terminal shows, CSV, Markdown, LaTeX and JSON values."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dimecli.console import printable
from dimecli.evaluation.conditions import written
from dimecli.report.compare import Comparison, Row
from dimecli.report.labels import options_of

_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "[": "{[}",  # at the start of a row it would begin an argument of the line break before
    **{letter: f"\\{letter}" for letter in "{}$&#%_"},
}


@dataclass(frozen=True)
class Style:
    """How a form of text writes the parts of a table.

    Args:
        text: Escapes what is to be read as it is.
        number: Writes a number, which is empty or the best of its row or not.
        arrows: What says that higher, and that lower is better.
        note: Writes the number of a note, by which its row refers to it.
    """

    text: Callable[[str], str]
    number: Callable[[str, bool], str]
    arrows: Mapping[str | None, str]
    note: Callable[[int], str]

    def head(self, row: Row) -> str:
        """What a number is called: its name, what tells it from others of the name, its unit, and its note."""
        parts = [row.name, f", {row.differing}" * bool(row.differing), f" ({row.unit})" * bool(row.unit)]
        mark = self.note(row.note) if row.note else ""
        return self.text("".join(parts)) + self.arrows[row.direction] + mark


def _markdown(text: str) -> str:
    return re.sub(r"([\\`*_{}\[\]<>|#~&$])", r"\\\1", printable(text))


def _latex(text: str) -> str:
    return "".join(_LATEX.get(letter, letter) for letter in printable(text))


def _latex_number(text: str, best: bool) -> str:
    if not text:
        return ""
    digits, _, exponent = text.partition("e")
    times = rf" \times 10^{{{int(exponent)}}}" if exponent else ""
    return f"$\\mathbf{{{digits}{times}}}$" if best else f"${digits}{times}$"


PLAIN = Style(
    str,
    lambda text, best: f"{text} *" if best else text,
    {"higher": " ↑", "lower": " ↓", None: ""},
    lambda note: f" [{note}]",
)
MARKDOWN = Style(
    _markdown,
    lambda text, best: f"**{text}**" if best else text,
    {"higher": " ↑", "lower": " ↓", None: ""},
    lambda note: f"<sup>{note}</sup>",
)
LATEX = Style(
    _latex,
    _latex_number,
    {"higher": r" $\uparrow$", "lower": r" $\downarrow$", None: ""},
    lambda note: rf"\textsuperscript{{{note}}}",
)


def cells(comparison: Comparison, style: Style) -> tuple[list[str], list[list[str]]]:
    """Heads and rows of a table of the numbers; across are the runs or the numbers, whichever are fewer."""
    labels = [style.text(run.label) for run in comparison.runs]
    heads = [style.head(row) for row in comparison.rows]
    table = [[style.number(cell, place in row.best) for place, cell in enumerate(row.cells)] for row in comparison.rows]
    if len(labels) <= len(heads):
        return ["", *labels], [[head, *row] for head, row in zip(heads, table, strict=True)]
    columns = [list(column) for column in zip(*table, strict=True)] or [[] for _ in labels]
    return ["", *heads], [[label, *column] for label, column in zip(labels, columns, strict=True)]


def settings(comparison: Comparison) -> tuple[list[str], list[list[str]]]:
    """Heads and rows of a table that tells which run has which label, and what differs between the runs."""
    tables = list(dict.fromkeys(table for run in comparison.runs for table in run.settings))
    heads = ["", *tables, "run"]
    return heads, [
        [of.label, *(of.settings.get(table, "") for table in tables), of.path.name] for of in comparison.runs
    ]


def markdown(comparisons: Sequence[Comparison]) -> str:
    """A table for each data, and below it the conditions."""
    return "\n".join(_markdown_table(comparison) for comparison in comparisons if comparison.rows)


def _markdown_table(comparison: Comparison) -> str:
    heads, rows = cells(comparison, MARKDOWN)
    table = [heads, ["---", *["---:"] * (len(heads) - 1)], *rows]
    notes = [f"<sup>{mark}</sup> {_markdown(note)}" for mark, note in enumerate(comparison.notes, 1)]
    lines = [*(f"| {' | '.join(row)} |" for row in table), "", "  \n".join([_markdown(_shared(comparison)), *notes])]
    return "".join(f"{line}\n" for line in lines)


def latex(comparisons: Sequence[Comparison]) -> str:
    """A `table` for each data, with the rules of the package booktabs, and the conditions in its caption."""
    return "\n".join(_latex_table(comparison) for comparison in comparisons if comparison.rows)


def _latex_table(comparison: Comparison) -> str:
    heads, rows = cells(comparison, LATEX)
    notes = [rf"\textsuperscript{{{mark}}}{_latex(note)}." for mark, note in enumerate(comparison.notes, 1)]
    lines = [
        r"\begin{table}",
        r"  \centering",
        rf"  \caption{{{' '.join([_latex(f'{_shared(comparison)}.'), *notes])}}}",
        rf"  \begin{{tabular}}{{l{'r' * (len(heads) - 1)}}}",
        r"    \toprule",
        rf"    {' & '.join(heads)} \\",
        r"    \midrule",
        *(rf"    {' & '.join(row)} \\" for row in rows),
        r"    \bottomrule",
        r"  \end{tabular}",
        r"\end{table}",
    ]
    return "".join(f"{line}\n" for line in lines)


def _shared(comparison: Comparison) -> str:
    """The data, and the conditions that all numbers share."""
    return ": ".join(filter(None, [comparison.data, written(comparison.shared)]))


def as_csv(comparisons: Sequence[Comparison]) -> str:
    """A line for each run: its name, what differs, and every number in full; each of other conditions has a column."""
    several = len(comparisons) > 1
    options = list(dict.fromkeys(key for of in comparisons for run in of.runs for key in run.differing))
    named = [table if key == "name" else f"{table}.{key}" for table, key in options]
    heads = [_csv_head(row, of.data if several else "") for of in comparisons for row in of.rows]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["run", "label", "data", *named, *heads])
    before = 0
    for of in comparisons:
        after = len(heads) - before - len(of.rows)
        for place, run in enumerate(of.runs):
            found = [row.entries[place] for row in of.rows]
            values = ["" if entry is None else repr(entry.value) for entry in found]
            told = [run.differing.get(key, "") for key in options]
            writer.writerow([run.path.name, run.label, of.data, *told, *[""] * before, *values, *[""] * after])
        before += len(of.rows)
    return out.getvalue()


def _csv_head(row: Row, data: str) -> str:
    """The name of a column, with the conditions that tell it from others."""
    return ", ".join(filter(None, [row.name, f"data {data}" * bool(data), row.differing]))


def as_json(comparisons: Sequence[Comparison]) -> dict[str, Any]:
    """JSON values: the runs with what differs, and the numbers by the labels of the runs that have them."""
    runs = [
        {
            "run": run.path.name,
            "path": str(run.path),
            "label": run.label,
            "data": of.data,
            "differing": {table: options_of(run.differing, table) for table, _ in run.differing},
        }
        for of in comparisons
        for run in of.runs
    ]
    metrics = [
        {
            "metric": row.name,
            "data": of.data,
            "unit": row.unit,
            "direction": row.direction,
            "conditions": next(dict(entry.conditions) for entry in row.entries if entry),
            "values": {run.label: entry.value for run, entry in zip(of.runs, row.entries, strict=True) if entry},
            "best": [of.runs[place].label for place in sorted(row.best)],
        }
        for of in comparisons
        for row in of.rows
    ]
    return {"runs": runs, "metrics": metrics}
