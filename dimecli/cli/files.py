"""Plugins in loose files, which have to be known before a line is read: `--plugin FILE`, `[plugins] files`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from dimecli.errors import UserError

FLAG = "--plugin"
PluginFiles = Annotated[
    list[str] | None,
    typer.Option(
        FLAG,
        metavar="FILE",
        help="Python file with plugins that are not installed; may be given several times.",
    ),
]
"""For help only: `load_files` has taken the option off the line before it is parsed."""


def load_files(words: Sequence[str]) -> list[str]:
    """Registers the plugins of the files that a command line, and the file after `--config`, name.

    Returns:
        The words without these options.

    Raises:
        UserError: there is no such file, or no plugin in it.
        PluginError: it raises while it is executed.
    """
    rest, named = _taken_off(words)
    config, configured = _configured(rest)
    if configured or named:
        from dimecli.registry import add_file

        for file in configured:
            if not file.is_file():
                raise UserError(f"[plugins] of {config}: there is no file {file}")
            add_file(file)
        for name in named:
            add_file(name)
    return rest


def _taken_off(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """The words without `--plugin FILE`, and the files."""
    rest: list[str] = []
    files: list[str] = []
    coming = iter(words)
    for word in coming:
        if word == "--":
            return [*rest, word, *coming], files
        flag, equals, value = word.partition("=")
        if flag != FLAG:
            rest.append(word)
            continue
        file = value if equals else next(coming, "")
        if not file or file.startswith("-"):
            raise UserError(f"{FLAG}: its value is missing; give a Python file")
        files.append(file)
    return rest, files


def _configured(words: Sequence[str]) -> tuple[str, list[Path]]:
    """The TOML file, and what `files` in its table [plugins] says, relative to it.

    A record of a run names files, too, but never for them to be executed: it may be a stranger's.
    """
    found = [
        word.partition("=")[2] or following
        for word, following in zip(words, [*words[1:], ""], strict=False)
        if word == "--config" or word.startswith("--config=")
    ]
    if not found or not found[-1] or found[-1].endswith(".json"):
        return "", []
    from dimecli.cli.layers import read_layer

    file = found[-1]
    table = dict(read_layer(file).tables.get("plugins", {}))
    files = table.pop("files", [])
    if table or not (isinstance(files, list) and all(isinstance(name, str) for name in files)):
        raise UserError(f"[plugins] of {file}: only 'files', a list of Python files, goes there")
    return file, [Path(file).parent / Path(name).expanduser() for name in files]
