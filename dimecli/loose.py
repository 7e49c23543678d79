"""Plugins in a Python file that belongs to no distribution: `--plugin ./mine.py`."""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
import re
import sys
from collections.abc import Iterator
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

from dimecli.errors import PluginError, UserError
from dimecli.plugin import KINDS, Plugin


def load(file: Path) -> ModuleType:
    """The module that a file is, executed now; once for each of its contents.

    `__dime_file__` of the module is the file, and `__dime_hash__` the SHA-256 of what was executed.

    Raises:
        UserError: there is no such file, or it is no Python.
        PluginError: it raises while it is executed; names the line.
    """
    file = file.expanduser().absolute()
    if file.suffix != ".py":
        raise UserError(f"--plugin {file}: should be a Python file, named *.py")
    try:
        source = file.read_bytes()
    except OSError as error:
        raise UserError(f"--plugin {file}: {error.strerror}") from error
    digest = hashlib.sha256(source).hexdigest()
    name = f"dime_file_{hashlib.sha256(bytes(file) + source).hexdigest()[:16]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_loader(name, SourceFileLoader(name, str(file)))
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    module.__dict__.update(__dime_file__=file, __dime_hash__=digest)
    sys.modules[name] = module  # pydantic looks annotations up there
    try:
        exec(compile(source, file, "exec"), module.__dict__)
    except BaseException as error:
        del sys.modules[name]
        if not isinstance(error, Exception | SystemExit):
            raise
        raise PluginError(f"--plugin {file} failed to import: {_cause(error, file)}") from error
    return module


def classes(module: ModuleType) -> Iterator[tuple[str, str, type[Plugin]]]:
    """Kind, name and class of each plugin that a loaded file defines; those that begin with `_` are its own affair."""
    for value in vars(module).values():
        if inspect.isclass(value) and issubclass(value, Plugin) and value.__module__ == module.__name__:
            kind = getattr(value, "kind", None)
            if kind in KINDS and not value.__name__.startswith("_"):
                yield kind, plugin_name(value.__name__), value


def plugin_name(class_name: str) -> str:
    """What a plugin is called that nobody registers: `SparseCodes` is `sparse-codes`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "-", class_name).lower()


def _cause(error: BaseException, file: Path) -> str:
    """What went wrong and, where the file itself is to blame, in which line."""
    lines = [error.lineno] if isinstance(error, SyntaxError) and error.filename == str(file) else []
    at = error.__traceback__
    while at is not None:
        if at.tb_frame.f_code.co_filename == str(file):
            lines.append(at.tb_lineno)
        at = at.tb_next
    text = error.msg if isinstance(error, SyntaxError) and lines else str(error)  # without the file and the line
    said = f"{type(error).__name__}: {text}".partition("\n")[0]
    return f"{said} (line {lines[-1]})" if lines else said
