"""Pictures in the terminal: in full where it has a protocol for images, else as coloured half blocks."""

from __future__ import annotations

import base64
import io
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Literal

from dimecli.console import Reporter

_CHUNK = 4096  # characters of base64 that the kitty protocol takes at once
_CELL = 9  # pixels: about the width of a character, which most terminals do not tell
_LINES = 3  # of the terminal that are left to text


def show(path: Path, reporter: Reporter) -> None:
    """Draws a PNG on the terminal if it can show one; does nothing elsewhere, and where the reporter is quiet."""
    if reporter.quiet or path.suffix != ".png" or not (sys.stdout.isatty() and sys.stderr.isatty()):
        return
    way = protocol()
    if way is None:
        return
    size = shutil.get_terminal_size()
    draw = {"kitty": kitty, "iterm": iterm, "blocks": half_blocks}[way]
    with suppress(UnicodeEncodeError):  # half blocks are not in every encoding
        sys.stderr.write(draw(path.read_bytes(), size.columns, size.lines - _LINES))
        sys.stderr.flush()


def protocol() -> Literal["kitty", "iterm", "blocks"] | None:
    """How this terminal shows a picture, as far as the environment tells; None if it does not."""
    term, program = os.environ.get("TERM", ""), os.environ.get("TERM_PROGRAM", "")
    multiplexed = "TMUX" in os.environ or term.startswith(("screen", "tmux"))  # keeps images from the terminal
    if not multiplexed:
        if "KITTY_WINDOW_ID" in os.environ or term in ("xterm-kitty", "xterm-ghostty") or program == "ghostty":
            return "kitty"
        if program in ("iTerm.app", "WezTerm", "mintty"):
            return "iterm"
    return "blocks" if os.environ.get("COLORTERM") in ("truecolor", "24bit") and term != "dumb" else None


def kitty(png: bytes, columns: int, lines: int) -> str:
    """The picture in kitty's graphics protocol: PNG data in chunks, which the terminal does not answer (q=2)."""
    data = base64.b64encode(png).decode()
    chunks = [data[start : start + _CHUNK] for start in range(0, len(data), _CHUNK)]
    keys = [f"a=T,f=100,q=2,c={_columns(png, columns)},", *[""] * (len(chunks) - 1)]
    more = [*[1] * (len(chunks) - 1), 0]
    return "".join(f"\x1b_G{key}m={m};{part}\x1b\\" for key, m, part in zip(keys, more, chunks, strict=True)) + "\n"


def iterm(png: bytes, columns: int, lines: int) -> str:
    """The picture in iTerm2's inline images protocol."""
    options = f"inline=1;size={len(png)};width={_columns(png, columns)};preserveAspectRatio=1"
    return f"\x1b]1337;File={options}:{base64.b64encode(png).decode()}\x07\n"


def half_blocks(png: bytes, columns: int, lines: int) -> str:
    """The picture in characters of two pixels each: the upper half in the text's colour, the lower in its ground's."""
    from PIL import Image

    with Image.open(io.BytesIO(png)) as image:
        scale = min(columns / image.width, 2 * lines / image.height, 1)
        width, height = max(1, int(scale * image.width)), max(2, int(scale * image.height) // 2 * 2)
        pixels = image.convert("RGB").resize((width, height), Image.Resampling.LANCZOS).tobytes()
    return "".join(_rows(pixels, width, height))


def _rows(pixels: bytes, width: int, height: int) -> Iterator[str]:
    """A line of text for each two rows of RGB bytes."""
    colours = [";".join(map(str, pixels[at : at + 3])) for at in range(0, len(pixels), 3)]
    for top in range(0, height * width, 2 * width):
        pairs = zip(colours[top : top + width], colours[top + width : top + 2 * width], strict=True)
        yield "".join(f"\x1b[38;2;{upper};48;2;{lower}m▀" for upper, lower in pairs) + "\x1b[0m\n"


def _columns(png: bytes, columns: int) -> int:
    """Characters that the picture is wide: its own size, or the terminal's if that is less."""
    from PIL import Image

    with Image.open(io.BytesIO(png)) as image:
        return max(1, min(columns, image.width // _CELL))
