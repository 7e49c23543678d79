"""A Python function as the oracle."""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from functools import lru_cache
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from pydantic import Field, field_validator

from dimecli.errors import UserError, did_you_mean
from dimecli.plugin import Language
from dimecli.search.own import OwnProblem


class Python(OwnProblem):
    """A Python function of yours: it takes a sentence and returns a number.

    What else it returns or raises makes the sentence invalid. The file is imported by every process that
    evaluates; what lies beside it can be imported from it. `--problem FILE.py:NAME` is short for it.
    """

    executes = "function"

    function: str | None = Field(None, description="FILE.py:NAME of the function.")

    @field_validator("function")
    @classmethod
    def _absolute(cls, value: str | None) -> str | None:
        """The file is found from whichever folder the search goes on in."""
        if value is None:
            return None
        file, colon, name = value.rpartition(":")
        if not (colon and file.endswith(".py") and name.isidentifier()):
            raise ValueError("should be FILE.py:NAME")
        return f"{os.path.abspath(os.path.expanduser(file))}:{name}"

    @property
    def files(self) -> Sequence[Path]:
        """The file of the function."""
        return () if self.function is None else (_place(self.function)[0],)

    def check(self, language: Language) -> None:
        """Nothing, where the file can be imported and has the function.

        Raises:
            UserError: it does not; an error of the file is told with its line.
        """
        self._callable()

    def evaluate(self, sentences: Sequence[str], language: Language) -> list[Any]:
        """What the function returns for each sentence."""
        function = self._callable()
        return [function(sentence) for sentence in sentences]

    def _callable(self) -> Callable[[str], Any]:
        if self.function is None:
            raise UserError("problem 'python' needs --function FILE.py:NAME")
        path, name = _place(self.function)
        try:
            changed = path.stat().st_mtime_ns
        except OSError as error:
            raise UserError(f"--function {self.function}: cannot be read ({error.strerror})") from error
        module = _imported(path, changed)
        if not hasattr(module, name):
            known = [key for key, found in vars(module).items() if callable(found)]
            raise UserError(f"--function {self.function}: the file has no such function.{did_you_mean(name, known)}")
        function = getattr(module, name)
        try:
            inspect.signature(function).bind("sentence")
        except TypeError as error:
            raise UserError(f"--function {self.function}: must take a sentence, and nothing else ({error})") from error
        return function  # type: ignore[no-any-return]


def _place(function: str) -> tuple[Path, str]:
    """The file and the name."""
    file, _, name = function.rpartition(":")
    return Path(file), name


class _Source(SourceFileLoader):
    """Reads the source and never bytecode, which passes for new if the file changes within a second."""

    def get_code(self, fullname: str) -> CodeType:
        return self.source_to_code(self.get_data(self.path), self.path)


@lru_cache(maxsize=8)
def _imported(path: Path, changed: int) -> ModuleType:
    """The file as a module, imported once in a process unless it changed.

    Raises:
        UserError: what it raised; with the line.
    """
    name = f"dimecli_problem_{hashlib.sha256(str(path).encode()).hexdigest()[:16]}"
    spec = importlib.util.spec_from_loader(name, _Source(name, str(path)))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses, and pickle, look there
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise UserError(f"--function {path}{_line(path, error)}: {type(error).__name__}: {error}") from error
    return module


def _line(path: Path, error: BaseException) -> str:
    """Where in the file it was raised, such as `:12`."""
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return f":{error.lineno}"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    return f":{lines[-1]}" if lines else ""
