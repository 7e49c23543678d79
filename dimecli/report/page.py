"""A page of sections, as one HTML file that needs nothing else: no network, no script, pictures inside."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from dimecli.blame import blamed
from dimecli.errors import DimeError
from dimecli.run.files import write_atomic

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from PIL.Image import Image

_COLOURS = 128  # of a chart, whose edges are smoothed
_DOTS = 200  # per inch of a chart as pixels
_WIDEST = 1600  # pixels of a picture


@dataclass(frozen=True)
class Picture:
    """A picture inside the page.

    Args:
        source: A `data:` address.
        alt: What it shows, in words, for those who cannot see it.
        size: Width and height in pixels.
        caption: Below it.
        chart: Lines and points on white, which a dark page may turn dark.
    """

    source: str
    alt: str
    size: tuple[int, int]
    caption: str = ""
    chart: bool = False


@dataclass(frozen=True)
class Pictures:
    """Pictures beside each other, as wide as each other; fewer in a row where they are wide."""

    pictures: Sequence[Picture]
    wide: bool = False
    kind: ClassVar = "pictures"


@dataclass(frozen=True)
class Strips:
    """Wide pictures below each other, each named by its caption at the left."""

    pictures: Sequence[Picture]
    kind: ClassVar = "strips"


@dataclass(frozen=True)
class Table:
    """A table in a box of its own that scrolls if it is wide.

    Args:
        heads: Of the columns.
        rows: As many cells each; the first is the name of the row.
        numbers: Columns of numbers.
        best: Rows and columns of the cells that are marked.
        remarks: What is said of a row, by its place.
        caption: Above it.
        marks: The number of a note of a row, by its place.
        notes: The notes, from 1.
    """

    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    numbers: Collection[int] = ()
    best: Collection[tuple[int, int]] = ()
    remarks: Mapping[int, str] = field(default_factory=dict)
    caption: str = ""
    marks: Mapping[int, int] = field(default_factory=dict)
    notes: Sequence[str] = ()
    kind: ClassVar = "table"


@dataclass(frozen=True)
class Facts:
    """Names and what they are."""

    facts: Mapping[str, str]
    title: str = ""
    kind: ClassVar = "facts"


@dataclass(frozen=True)
class Lines:
    """Text in which every line stays one, such as sentences and commands."""

    text: str
    kind: ClassVar = "lines"


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    text: str
    kind: ClassVar = "text"


Block = Pictures | Strips | Table | Facts | Lines | Text


@dataclass(frozen=True)
class Section:
    """A part of a page.

    Args:
        title: Its heading.
        blocks: What it shows.
        reason: Why it shows no more.
    """

    title: str
    blocks: Sequence[Block] = ()
    reason: str = ""

    @property
    def anchor(self) -> str:
        """Its name in links of the page."""
        return re.sub(r"[^a-z0-9]+", "-", self.title.lower()).strip("-")


@dataclass(frozen=True)
class Page:
    """A whole page.

    Args:
        title: Its heading.
        subtitle: What it is about, in a line.
        sections: Its parts.
        made: By what, and when.
    """

    title: str
    subtitle: str
    sections: Sequence[Section]
    made: str

    def html(self) -> str:
        """The page as HTML; every text of it is escaped."""
        from jinja2 import Environment, StrictUndefined

        source = resources.files("dimecli.report").joinpath("page.html").read_text(encoding="utf-8")
        rules = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
        return rules.from_string(source).render(page=self)

    def write(self, file: Path) -> Path:
        """Write the page, atomically; returns the path.

        Raises:
            DimeError: the system refused.
        """
        text = self.html().encode("utf-8", "backslashreplace")  # halves of characters are none
        return write_atomic(file, lambda temporary: temporary.write_bytes(text))


def section(title: str, make: Callable[[], Iterable[Block]]) -> Section:
    """A section; one that fails has what it could make, says why in a line, and hurts no other."""
    blocks: list[Block] = []
    try:
        for block in make():
            blocks.append(block)  # those before a failure are kept
    except Exception as error:  # of a plugin, or of data that cannot be shown so
        return Section(title, blocks, reason_of(error))
    return Section(title, blocks)


def reason_of(error: Exception) -> str:
    """Why something failed, in a line."""
    if isinstance(error, DimeError):
        return str(error)
    return str(blamed(error) or f"{type(error).__name__}: {error}".partition("\n")[0])


def picture(file: Path, alt: str, caption: str = "", chart: bool = False) -> Picture:
    """A picture of a file, small enough for a page."""
    from PIL import Image

    with Image.open(file) as image:
        return _encoded(image, alt, caption, chart)


def drawing(figure: Figure, alt: str, caption: str = "") -> Picture:
    """A chart as lines that stay sharp at any size."""
    from matplotlib import rc_context

    out = io.BytesIO()
    with rc_context({"svg.hashsalt": "dimecli"}):  # or its names would differ each time
        figure.savefig(out, format="svg", metadata={"Date": None})
    width, height = (round(96 * inches) for inches in figure.get_size_inches())
    return Picture(_data("image/svg+xml", out.getvalue()), alt, (width, height), caption, chart=True)


def dots(figure: Figure, alt: str, caption: str = "") -> Picture:
    """A chart as pixels, which thousands of points take less room as."""
    from PIL import Image

    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=_DOTS)
    with Image.open(out) as image:
        return _encoded(image, alt, caption, chart=True)


def _encoded(image: Image, alt: str, caption: str, chart: bool) -> Picture:
    from PIL import Image as Images

    shown = Images.new("RGB", image.size, "white")
    shown.paste(image, mask=image.getchannel("A") if image.mode == "RGBA" else None)
    if shown.width > _WIDEST:
        shown = shown.resize((_WIDEST, round(shown.height * _WIDEST / shown.width)), Images.Resampling.LANCZOS)
    red, green, blue = shown.split()
    if red.tobytes() == green.tobytes() == blue.tobytes():
        shown = red
    elif chart:
        shown = shown.quantize(_COLOURS, dither=Images.Dither.NONE)
    out = io.BytesIO()
    shown.save(out, "png", optimize=True)
    return Picture(_data("image/png", out.getvalue()), alt, shown.size, caption, chart)


def _data(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
