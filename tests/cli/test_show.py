"""Pictures on terminals that there are none of here."""

from __future__ import annotations

import base64
import io
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from dimecli.cli.show import half_blocks, iterm, kitty, protocol, show
from dimecli.console import Reporter

NAMES = ("TERM", "TERM_PROGRAM", "KITTY_WINDOW_ID", "COLORTERM", "TMUX")


class Terminal(io.StringIO):
    """A stream that says it is one."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def png(*rows: list[tuple[int, int, int]]) -> bytes:
    """A picture of these pixels."""
    image = Image.new("RGB", (len(rows[0]), len(rows)))
    image.putdata([pixel for row in rows for pixel in row])
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


TINY = png([(255, 0, 0), (0, 255, 0)], [(0, 0, 255), (1, 2, 3)], [(9, 9, 9), (8, 8, 8)], [(7, 7, 7), (6, 6, 6)])


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Sets the variables that tell the terminal, and no others."""

    def only(**variables: str) -> None:
        for name in NAMES:
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return only


def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Both streams are terminals from now on; what is written to stderr is kept. No fixture, as pytest undoes those."""
    err = Terminal()
    monkeypatch.setattr(sys, "stdout", Terminal())
    monkeypatch.setattr(sys, "stderr", err)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("LINES", "24")
    return err


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, None),
        ({"TERM": "xterm-256color"}, None),
        ({"TERM": "xterm-256color", "COLORTERM": "truecolor"}, "blocks"),
        ({"COLORTERM": "24bit"}, "blocks"),
        ({"TERM": "dumb", "COLORTERM": "truecolor"}, None),
        ({"TERM": "xterm-kitty", "COLORTERM": "truecolor"}, "kitty"),
        ({"KITTY_WINDOW_ID": "1"}, "kitty"),
        ({"TERM_PROGRAM": "ghostty"}, "kitty"),
        ({"TERM_PROGRAM": "iTerm.app", "COLORTERM": "truecolor"}, "iterm"),
        ({"TERM_PROGRAM": "WezTerm"}, "iterm"),
        ({"TERM_PROGRAM": "vscode", "COLORTERM": "truecolor"}, "blocks"),
        ({"TERM": "tmux-256color", "TMUX": "/tmp/x", "KITTY_WINDOW_ID": "1", "COLORTERM": "truecolor"}, "blocks"),
        ({"TERM": "screen-256color", "TERM_PROGRAM": "iTerm.app"}, None),
    ],
)
def test_the_environment_tells_the_protocol(
    environment: Callable[..., None], variables: dict[str, str], expected: str | None
) -> None:
    environment(**variables)
    assert protocol() == expected


def test_half_blocks() -> None:
    assert half_blocks(TINY, 80, 24) == (
        "\x1b[38;2;255;0;0;48;2;0;0;255m▀\x1b[38;2;0;255;0;48;2;1;2;3m▀\x1b[0m\n"
        "\x1b[38;2;9;9;9;48;2;7;7;7m▀\x1b[38;2;8;8;8;48;2;6;6;6m▀\x1b[0m\n"
    )


@pytest.mark.parametrize(
    ("size", "columns", "lines", "expected"),
    [
        ((100, 100), 80, 21, (42, 21)),
        ((100, 40), 50, 21, (50, 10)),
        ((400, 3), 40, 9, (40, 1)),
        ((5, 5), 9, 9, (5, 2)),
        ((3, 900), 9, 9, (1, 9)),
    ],
)
def test_half_blocks_fit_into_the_terminal(
    size: tuple[int, int], columns: int, lines: int, expected: tuple[int, int]
) -> None:
    rows = half_blocks(png(*[[(1, 2, 3)] * size[0]] * size[1]), columns, lines).splitlines()
    assert ({row.count("▀") for row in rows}, len(rows)) == ({expected[0]}, expected[1])
    assert set(re.findall(r"\d+;2;\d+;\d+;\d+;\d+;2;\d+;\d+;\d+", "".join(rows))) == {"38;2;1;2;3;48;2;1;2;3"}


def test_kitty() -> None:
    data = base64.b64encode(TINY).decode()
    assert kitty(TINY, 80, 24) == f"\x1b_Ga=T,f=100,q=2,c=1,m=0;{data}\x1b\\\n"


def test_kitty_takes_much_in_chunks() -> None:
    noise = Image.effect_noise((200, 100), 80).convert("RGB")
    file = io.BytesIO()
    noise.save(file, "PNG")
    commands = re.findall(r"\x1b_G([^;]*);([^\x1b]*)\x1b\\", kitty(file.getvalue(), 80, 24))
    assert [keys for keys, _ in commands] == ["a=T,f=100,q=2,c=22,m=1", *["m=1"] * (len(commands) - 2), "m=0"]
    assert len(commands) > 2
    assert {len(part) for _, part in commands[:-1]} == {4096}
    assert base64.b64decode("".join(part for _, part in commands)) == file.getvalue()


@pytest.mark.parametrize(("columns", "width"), [(80, 33), (20, 20)])
def test_iterm(columns: int, width: int) -> None:
    picture = png([(0, 0, 0)] * 300)
    data = base64.b64encode(picture).decode()
    options = f"inline=1;size={len(picture)};width={width};preserveAspectRatio=1"
    assert iterm(picture, columns, 24) == f"\x1b]1337;File={options}:{data}\x07\n"


def test_a_picture_is_shown(environment: Callable[..., None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    err = terminal(monkeypatch)
    (tmp_path / "x.png").write_bytes(TINY)
    environment(KITTY_WINDOW_ID="1")
    show(tmp_path / "x.png", Reporter())
    assert err.getvalue() == kitty(TINY, 80, 21)


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_nothing_is_shown_where_it_would_end_up_in_a_file(
    environment: Callable[..., None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, stream: str
) -> None:
    err = terminal(monkeypatch)
    (tmp_path / "x.png").write_bytes(TINY)
    environment(KITTY_WINDOW_ID="1")
    file = io.StringIO()
    monkeypatch.setattr(sys, stream, file)
    show(tmp_path / "x.png", Reporter())
    assert file.getvalue() == err.getvalue() == ""


def test_nothing_is_shown_to_the_quiet_on_a_plain_terminal_or_of_a_text(
    environment: Callable[..., None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    err = terminal(monkeypatch)
    (tmp_path / "x.png").write_bytes(TINY)
    environment(KITTY_WINDOW_ID="1")
    show(tmp_path / "x.png", Reporter(quiet=True))
    show(tmp_path / "x.txt", Reporter())
    environment(TERM="xterm")
    show(tmp_path / "x.png", Reporter())
    assert err.getvalue() == ""


def test_a_terminal_without_half_blocks_in_its_encoding_shows_nothing(
    environment: Callable[..., None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    terminal(monkeypatch)
    (tmp_path / "x.png").write_bytes(TINY)
    environment(COLORTERM="truecolor")
    out = io.BytesIO()
    err = io.TextIOWrapper(out, encoding="latin-1", write_through=True)
    monkeypatch.setattr(err, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys, "stderr", err)
    show(tmp_path / "x.png", Reporter())
    assert out.getvalue() == b""
