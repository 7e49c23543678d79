"""The documentation is true: its commands run and print what it shows, its links lead somewhere."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pages import Runner, pages, run_page

DOCS = Path(__file__).parents[2] / "docs"
SLOW = {"objective.md", "problem.md"}
"""Pages that search, or run the tests of a distribution."""
NOT_RUN: dict[str, int] = {"papers.md": 1}
"""How many blocks of a page are only parsed; the reason stands above each."""


@pytest.mark.parametrize(
    "name", [pytest.param(page.name, marks=pytest.mark.slow if page.name in SLOW else ()) for page in pages(DOCS)]
)
def test_a_page_does_what_it_says(name: str, dime: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    runner = Runner(dime, monkeypatch)
    run_page(DOCS / name, runner)
    assert len(runner.not_run) == NOT_RUN.get(name, 0), runner.not_run


@pytest.mark.parametrize("name", [page.name for page in pages(DOCS)])
def test_links_lead_somewhere(name: str) -> None:
    text = re.sub(r"^```.*?^```", "", (DOCS / name).read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    for link in re.findall(r"\]\((?!https?:)([^)]+)\)", text):
        file, _, heading = link.partition("#")
        target = DOCS / (file or name)
        if target.is_relative_to(DOCS / "reference"):  # generated; `reference.py` writes these
            continue
        assert target.is_file(), f"{name}: {link}"
        assert target.resolve().is_relative_to(DOCS), f"{name}: {link} is no part of the site"
        if heading:
            assert heading in anchors(target), f"{name}: {link}"


def anchors(page: Path) -> set[str]:
    """What the headings of a page are linked by."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", heading).strip().lower()) for heading in headings}


def test_the_menu_has_every_page() -> None:
    menu = (DOCS / "zensical.toml").read_text(encoding="utf-8")
    assert {page.name for page in pages(DOCS)} == set(re.findall(r'"([\w-]+\.md)"', menu))
