"""Writes a distribution with a plugin that works, or one more plugin into a distribution that is there."""

from __future__ import annotations

import ast
import builtins
import re
import shlex
from contextlib import suppress
from importlib.resources import files
from pathlib import Path

from dimecli.console import QUIET, Reporter
from dimecli.errors import UserError
from dimecli.registry import registered
from dimecli.run.files import write_atomic
from dimecli.scaffold.licences import licence_text
from dimecli.scaffold.project import add_point, check_shipped, read_project
from dimecli.scaffold.texts import class_name, module_name, project_text, readme_text, test_text, uses

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


def write_distribution(
    kind: str,
    name: str,
    folder: Path | None = None,
    licence: str = "mit",
    author: str | None = None,
    reporter: Reporter = QUIET,
) -> list[Path]:
    """Writes `dime-NAME`, or adds the plugin to the distribution that the folder is; all or nothing.

    Args:
        kind: Of the plugin, such as `objective`.
        name: Of the plugin, such as `sparse-codes`.
        folder: Where; `dime-NAME` below the working folder unless given.
        licence: A key of `dimecli.scaffold.licences.LICENCES`; that of a distribution that is there stays.
        author: Who has the copyright.
        reporter: Told where the name is taken by an installed plugin.

    Returns:
        The files that were written, or changed.

    Raises:
        UserError: the name makes no plugin, or is taken in the distribution, or a file is there already.
        DimeError: the system refused to write.
    """
    code = _code(kind, name)
    folder = folder or Path(f"dime-{name}")
    texts = code | {f"tests/test_{name.replace('-', '_')}.py": test_text(kind, name)}
    project = folder / "pyproject.toml"
    if project.exists():
        _check_author(author, project)
        text = read_project(project)
        check_shipped(project, text)
        changed = {project: add_point(project, text, kind, name)}
    else:
        texts |= _around(kind, name, licence, author)
        changed = {}
    new = {folder / file: text for file, text in texts.items()}
    _check_free(folder, new)
    for entry in registered(kind):
        if entry.name == name:
            reporter.say(f"Note: {entry} has the name too; only one of the two can be installed")
    return _write(new, changed)


def next_steps(kind: str, name: str, folder: Path | None = None) -> list[str]:
    """The commands that install the new plugin, check it, and use it."""
    place = str(folder or Path(f"dime-{name}"))
    place = place if place.startswith(("/", ".", "~")) else f"./{place}"  # pip takes a bare word for a project
    return [f"pip install -e {shlex.quote(place)}", f"dime plugins check {kind} {name}", *uses(kind, name)]


def _code(kind: str, name: str) -> dict[str, str]:
    """The plugin's module, and the grammar beside it, by their file names.

    Raises:
        UserError: the name makes no plugin.
    """
    if not _NAME.fullmatch(name):
        raise UserError(
            f"NAME '{name}': should be small letters and digits, with single hyphens between them, and begin "
            "with a letter, such as my-plugin"
        )
    templates = files("dimecli.scaffold.templates")
    source = (templates / f"{kind}.py").read_text(encoding="utf-8")
    if class_name(name) in _identifiers(source) or hasattr(builtins, class_name(name)):
        raise UserError(f"NAME '{name}': its class would be called {class_name(name)}, which is taken; add a word")
    found = {f"{module_name(name)}.py": _renamed(source, name)}
    if kind == "grammar":
        found[f"{module_name(name)}.cfg"] = (templates / "grammar.cfg").read_text(encoding="utf-8")
    return found


def _renamed(source: str, name: str) -> str:
    """A template with the plugin's names in place of its own."""
    return re.sub(r"\bexample\b", name, re.sub(r"\bExample\b", class_name(name), source))


def _identifiers(source: str) -> set[str]:
    """The names that a module uses or imports."""
    nodes = [*ast.walk(ast.parse(source))]
    used = {node.id for node in nodes if isinstance(node, ast.Name)}
    return used | {alias.name for node in nodes if isinstance(node, ast.ImportFrom) for alias in node.names}


def _around(kind: str, name: str, licence: str, author: str | None) -> dict[str, str]:
    """The files of a new distribution that are not of the plugin alone.

    Raises:
        UserError: the author's name cannot be written.
    """
    if author is not None and not (author.strip() and author.isprintable()):
        raise UserError(f"--author {author!r}: should be a name, in one line")
    texts = {
        "pyproject.toml": project_text(kind, name, licence, author),
        "README.md": readme_text(kind, name, licence),
    }
    if licence != "none":
        texts["LICENSE"] = licence_text(licence, author or f"the authors of dime-{name}")
    return texts


def _check_author(author: str | None, project: Path) -> None:
    if author is not None:
        raise UserError(f"--author {author}: {project} says already who wrote the distribution; leave the option out")


def _check_free(folder: Path, new: dict[Path, str]) -> None:
    """Raises a UserError where something would be overwritten, or the folder is none."""
    for place in (folder, folder / "tests"):
        if place.exists() and not place.is_dir():
            raise UserError(f"DIR {folder}: {place} is a file, not a folder")
    for file in new:
        if file.exists() or file.is_symlink():
            raise UserError(f"DIR {folder}: {file} is there already; choose another NAME or DIR")


def _write(new: dict[Path, str], changed: dict[Path, str]) -> list[Path]:
    """Writes the new files, and then the changed ones; where that fails, removes the new ones and their folders."""
    folders = [place for file in new for place in (file.parent, file.parent.parent) if not place.exists()]
    try:
        for file, text in (new | changed).items():
            _write_text(file, text)
    except BaseException:
        for file in new:
            file.unlink(missing_ok=True)
        for place in sorted(set(folders), reverse=True):
            with suppress(OSError):
                place.rmdir()
        raise
    return [*new, *changed]


def _write_text(path: Path, text: str) -> None:
    write_atomic(path, lambda file: file.write_bytes(text.encode()))  # the ends of lines stay as they are
