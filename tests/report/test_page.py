"""Pages: one file that needs nothing else, in which every text stays text."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from dimecli.errors import DimeError, UserError
from dimecli.report.page import (
    Facts,
    Lines,
    Page,
    Pictures,
    Section,
    Strips,
    Table,
    Text,
    dots,
    drawing,
    picture,
    section,
)
from dimecli.run.style import new_axes

HOSTILE = "<script>alert(1)</script> & \"q\" 'a' {{ 7*7 }} <img src=x onerror=alert(2)>"


def page(*blocks: Any, **changes: Any) -> Page:
    return Page(**{"title": "a & b", "subtitle": "s", "sections": [Section("One", blocks)], "made": "m", **changes})


def image(tmp_path: Path, colour: Any, mode: str = "RGB", size: tuple[int, int] = (40, 20)) -> Path:
    file = tmp_path / "image.png"
    Image.new(mode, size, colour).save(file)
    return file


def test_every_text_stays_text(tmp_path: Path, read_page: Any) -> None:
    shown = picture(image(tmp_path, "red"), HOSTILE, HOSTILE)
    blocks = [
        Text(HOSTILE),
        Lines(HOSTILE),
        Facts({HOSTILE: HOSTILE}, HOSTILE),
        Pictures([shown]),
        Strips([shown]),
        Table(
            (HOSTILE, "b"), [(HOSTILE, HOSTILE)], best={(0, 1)}, remarks={0: HOSTILE}, caption=HOSTILE, notes=[HOSTILE]
        ),
    ]
    found = read_page(page(*blocks, title=HOSTILE, subtitle=HOSTILE, made=HOSTILE).html())
    assert found.problems == []
    assert found.all("script") == []
    assert len(found.all("img")) == 2
    assert {attributes["alt"] for attributes in found.all("img")} == {HOSTILE}
    assert found.sections["One"].count(HOSTILE) == 2 + 3 + 2 + 6
    assert not any(name.startswith("on") for _, attributes in found.tags for name in attributes)


def test_nothing_is_fetched(tmp_path: Path, read_page: Any) -> None:
    figure, axes = new_axes("t", "x", "y")
    axes.plot([1, 2], [3, 4])
    blocks = Pictures([picture(image(tmp_path, "red"), "a"), drawing(figure, "b"), dots(figure, "c")])
    html = page(blocks).html()
    assert "http" not in html
    found = read_page(html)
    assert all(attributes["src"].startswith("data:image/") for attributes in found.all("img"))
    assert [attributes["href"] for attributes in found.all("link")] == ["data:,"]
    assert {attributes["href"] for attributes in found.all("a")} == {"#one"}
    assert "url(" not in html
    assert "@import" not in html


def test_sections_are_linked_and_say_why_they_lack_something(read_page: Any) -> None:
    sections = [Section("One", [Text("here")]), Section("Two: a & b", reason="it failed")]
    found = read_page(page(sections=sections).html())
    assert list(found.sections) == ["One", "Two: a & b"]
    assert "it failed" in found.sections["Two: a & b"]
    links = [attributes["href"] for attributes in found.all("a")]
    assert links == [f"#{attributes['id']}" for attributes in found.all("h2")] == ["#one", "#two-a-b"]


def test_a_section_that_fails_keeps_what_it_has() -> None:
    def make(error: Exception) -> Any:
        yield Text("a")
        raise error

    assert section("T", lambda: make(UserError("why"))) == Section("T", [Text("a")], "why")
    assert section("T", lambda: make(ValueError("one\ntwo"))).reason == "ValueError: one"
    assert section("T", lambda: [Text("a")]) == Section("T", [Text("a")])


def test_a_table_has_marks_notes_and_remarks(read_page: Any) -> None:
    table = Table(
        ("m", "a", "b"),
        [("x", "1", "2"), ("y", "", "3")],
        {1, 2},
        {(0, 2)},
        {1: "remark"},
        marks={0: 1, 1: 0},
        notes=["n 5"],
    )
    html = page(table).html()
    assert "<strong>2</strong>" in html
    assert "<strong>1</strong>" not in html
    assert html.count("<sup>1</sup>") == 1
    assert "<sup>0</sup>" not in html
    found = read_page(html)
    assert found.cells == ["m", "a", "b", "x", "1", "2", "y", "", "3", "remark"]
    assert "n 5" in found.sections["One"]
    assert sum("colspan" in attributes for attributes in found.all("td")) == 1


@pytest.mark.parametrize(
    ("mode", "colour", "chart", "expected"),
    [
        ("RGB", (9, 9, 9), False, "L"),
        ("RGB", (255, 0, 0), False, "RGB"),
        ("RGB", (255, 0, 0), True, "P"),
        ("RGBA", (255, 0, 0, 0), False, "L"),  # see-through is white
        ("L", 7, True, "L"),
    ],
)
def test_pictures_are_as_small_as_they_can_be(
    tmp_path: Path, mode: str, colour: Any, chart: bool, expected: str
) -> None:
    found = picture(image(tmp_path, colour, mode), "a", chart=chart)
    with Image.open(io.BytesIO(base64.b64decode(found.source.partition(",")[2]))) as back:
        assert (back.mode, back.size, back.format) == (expected, (40, 20), "PNG")
        pixel = back.convert("RGB").getpixel((5, 5))
    white = mode == "RGBA"
    assert pixel == ((255, 255, 255) if white else (7, 7, 7) if mode == "L" else colour[:3])


def test_wide_pictures_are_made_smaller(tmp_path: Path) -> None:
    assert picture(image(tmp_path, "red", size=(3200, 100)), "a").size == (1600, 50)


def test_halves_of_characters_are_written(tmp_path: Path) -> None:
    file = page(Text("a\ud800b")).write(tmp_path / "p.html")
    assert "a\\ud800b" in file.read_text(encoding="utf-8")


def test_a_page_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DimeError, match=r"^cannot write "):
        page().write(tmp_path / "file" / "p.html")
