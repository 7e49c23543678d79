from __future__ import annotations

import json
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from dimecli.evaluation.record import Entry, keep
from dimecli.plugin import Measured

RunRecord = Callable[..., dict[str, Any]]
FinishedRun = Callable[..., Path]


@pytest.fixture
def finished_run(tmp_path: Path, run_record: RunRecord) -> FinishedRun:
    """Writes the folder of a finished run, of no more than what is compared.

    `finished_run("run-0", [Measured(...)], objective={"name": "dime", "lambda": 0.1}, data="ab12")`
    """

    def write(name: str, measured: list[Measured], data: str = "0", state: str = "finished", **config: Any) -> Path:
        path = tmp_path / "runs" / name
        path.mkdir(parents=True)
        record = run_record(state, run=path.name, data={"fingerprints": {"train": data, "validation": "1"}})
        record["config"] |= config
        (path / "run.json").write_text(json.dumps(record))
        entries = [Entry.of(one, {"split": "test", "seed": 0}, "dimecli 0.1.0", "2") for one in measured]
        if entries:
            keep(path, entries)
        return path

    return write


@pytest.fixture
def read_page() -> type[Reader]:
    """Takes a page apart: `read_page(html).sections["About"]`."""
    return Reader


VOID = {"meta", "link", "img", "wbr"}


class Reader(HTMLParser):
    """A page, taken apart.

    Attributes:
        tags: All tags with their attributes, in order.
        sections: Heading and text of each section.
        cells: Texts of all cells of tables.
        problems: Tags that are not closed in the order in which they were opened.
    """

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.sections: dict[str, str] = {}
        self.cells: list[str] = []
        self.problems: list[str] = []
        self._open: list[str] = []
        self._heading = ""
        self.feed(html)
        self.close()
        self.problems += self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self._open.append(tag)
        if tag == "section":
            self._heading = ""
        if tag in ("td", "th"):
            self.cells.append("")

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open.pop() != tag:
            self.problems.append(tag)

    def handle_data(self, data: str) -> None:
        if "section" in self._open:
            if "h2" in self._open:
                self._heading += data
                self.sections[self._heading] = ""
            elif self._heading:
                self.sections[self._heading] += data
        if self._open and self._open[-1] in ("td", "th", "strong", "span"):
            self.cells[-1] += data

    def all(self, tag: str) -> list[dict[str, str]]:
        """Attributes of every tag of that name."""
        return [attributes for name, attributes in self.tags if name == tag]
