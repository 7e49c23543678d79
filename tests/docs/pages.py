"""Runs a page of the documentation: its files are written, its Python and its commands run, what it shows was printed.

A page is a story that is told once, in order and in a folder of its own:

* a block with a title, such as ```` ```python title="mine.py" ````, is a file; it is written;
* a Python block without one is executed, in a namespace that the blocks of a page share;
* a `console` block has commands behind `$ `, and below each some of the lines that it prints. Of a line, numbers
  and the width of gaps do not count, and `...` stands for anything. A command ends well unless it ends in `# exits 2`;
  a date in it is today's, so that it may name the runs of the page;
* `<!-- not run: REASON -->` above a block keeps it from being run: a `dime` command in it is only parsed, by --dry-run.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterable, Iterator
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from sybil import Document, Example, Region, Sybil
from sybil.evaluators.python import PythonEvaluator
from sybil.parsers.markdown.lexers import FencedCodeBlockLexer

from dimecli.registry import drop_files, forget

SHOWN_ONLY = ("text", "sh")
"""Languages of blocks that only show something."""
_NOT_RUN = re.compile(r"<!-- not run: ([^>]+) -->\s*\Z")
_DATE = re.compile(r"\b20\d\d-\d\d-\d\d(?=-[a-z])")
_NUMBER = re.compile(r"-?\d+(,\d{3})*(\.\d+)?(e[-+]?\d+)?")


class Command(NamedTuple):
    """A command of a console block, and the lines that the page shows of what it prints."""

    words: list[str]
    code: int
    shown: list[str]


def commands(source: str) -> list[Command]:
    """The commands of a console block.

    Raises:
        ValueError: the block does not begin with one.
    """
    found: list[Command] = []
    for line in source.splitlines():
        if line.startswith("$ "):
            text, _, code = line[2:].partition("# exits ")
            words = [_DATE.sub(str(date.today()), word) for word in shlex.split(text, comments=True)]
            found.append(Command(words, int(code or 0), []))
        elif not found:
            raise ValueError(f"a console block begins with '$ ', not with '{line}'")
        elif line.strip() not in ("", "..."):
            found[-1].shown.append(line)
    return found


def not_printed(shown: Iterable[str], printed: str) -> list[str]:
    """The lines that a page shows, but no command printed."""
    lines = [_plain(line) for line in printed.splitlines()]
    return [line for line in shown if not any(re.fullmatch(_pattern(line), said) for said in lines)]


def _plain(line: str) -> str:
    return " ".join(_NUMBER.sub("#", line).split())


def _pattern(line: str) -> str:
    return ".*".join(re.escape(part) for part in _plain(line).split("..."))


class Runner:
    """Runs the blocks of one page in the current folder.

    Args:
        dime: The fixture that runs a command line.
        patched: Undone after the page.
    """

    def __init__(self, dime: Callable[..., Any], patched: pytest.MonkeyPatch) -> None:
        self._dime = dime
        self._patched = patched
        self._python = PythonEvaluator()
        self.not_run: list[str] = []

    def __call__(self, example: Example) -> str | None:
        """Runs a block; returns what is wrong, if anything is."""
        language, _, rest = example.region.lexemes["language"].partition(" ")
        title = re.fullmatch(r'\s*title="(.+)"', rest)
        if reason := _NOT_RUN.search(example.document.text[: example.start]):
            self.not_run.append(reason[1])
            return self._only_parsed(example.parsed)
        if title:
            path = Path(title[1])
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(str(example.parsed), encoding="utf-8")
        elif language == "python":
            self._python(example)
        elif language == "console":
            return "\n".join(filter(None, map(self._wrong, commands(str(example.parsed))))) or None
        elif language == "toml":
            tomllib.loads(str(example.parsed))
        elif language not in SHOWN_ONLY:
            return f"nobody knows what to do with a block of '{language}'"
        return None

    def _only_parsed(self, source: str) -> str | None:
        lines = [command for command in commands(source) if command.words[0] == "dime"]
        ran = [(command, self._dime(*command.words[1:], "--dry-run")) for command in lines]
        return "\n".join(f"{shlex.join(command.words)}: {said.err}" for command, said in ran if said.code) or None

    def _wrong(self, command: Command) -> str | None:
        code, printed = self._run(command.words)
        line = shlex.join(command.words)
        if code != command.code:
            return f"$ {line}\nexits {code}, not {command.code}:\n{printed}"
        if missing := not_printed(command.shown, printed):
            return "\n".join((f"$ {line}\ndoes not print", *missing, "but", printed))
        return None

    def _run(self, words: list[str]) -> tuple[int, str]:
        """The exit code of a command, and what it prints."""
        match words:
            case [setting, *rest] if "=" in setting:
                with pytest.MonkeyPatch.context() as patched:
                    patched.setenv(*setting.split("=", 1))
                    forget()
                    result = self._run(rest)
                forget()
                return result
            case ["dime", *rest]:
                drop_files()
                ran = self._dime(*rest)
                return ran.code, ran.out + ran.err
            case ["pip", "install", "-e", folder]:
                self._install(Path(folder))
                return 0, ""
            case ["pytest", *rest]:
                command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *rest]
                done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
                return done.returncode, done.stdout + done.stderr
        raise ValueError(f"pages have no command '{words[0]}'")

    def _install(self, folder: Path) -> None:
        """Puts a distribution on `sys.path` with the metadata that pip would write, without a network."""
        project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        site = Path("site").absolute()
        info = site / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
        )
        lines: list[str] = []
        for group, points in project["entry-points"].items():
            lines += [f"[{group}]", *(f"{name} = {value}" for name, value in points.items())]
        (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
        code = folder / "src" if (folder / "src").is_dir() else folder
        for path in (site, code.absolute()):
            self._patched.syspath_prepend(path)
            self._patched.setenv("PYTHONPATH", str(path), prepend=":")
        forget()


def pages(docs: Path) -> list[Path]:
    """The pages that are written by hand."""
    return sorted(docs.glob("*.md"))


def run_page(page: Path, runner: Runner) -> Document:
    """Runs a page.

    Raises:
        sybil.example.SybilFailure: a command fails, or prints something else; names the line.
    """
    blocks = FencedCodeBlockLexer(language=r".*")

    def parser(document: Document) -> Iterator[Region]:
        for region in blocks(document):
            region.parsed, region.evaluator = region.lexemes["source"], runner
            yield region

    document = Sybil(parsers=[parser], path=str(page.parent)).parse(page)
    for example in document.examples():
        example.evaluate()
    return document
