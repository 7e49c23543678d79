"""The list of what plugins may rely on, read from the code: `python docs/plugin_api.py` writes it into the page.

A test compares the two, so that a change of a plugin's contract is seen by whoever makes it.
"""

from __future__ import annotations

import ast
import importlib
import inspect
from collections.abc import Iterator
from dataclasses import is_dataclass
from functools import cached_property
from pathlib import Path
from textwrap import dedent
from types import FunctionType
from typing import Any

from pydantic import BaseModel

from dimecli.plugin import API

PAGE = Path(__file__).with_name("compatibility.md")
BEGIN, END = "<!-- begin of the list -->", "<!-- end of the list -->"
PROMISED: dict[str, tuple[str, ...]] = {
    "dimecli.plugin": (),
    "dimecli.testing": (),
    "dimecli.lazy": (),
    "dimecli.grammar": (),
    "dimecli": ("evaluate", "load_run", "train"),
    "dimecli.registry": ("Entry", "add_file", "drop_files", "entry_of", "find", "make", "names", "registered"),
    "dimecli.defaults": ("Role", "default"),
    "dimecli.errors": ("DimeError", "UserError", "PluginError", "did_you_mean"),
    "dimecli.distributed": ("average", "gather", "rank", "world"),
    "dimecli.model": ("Autoencoder", "Autoregressive", "LatentVariableModel", "UnitNorm", "VariationalAutoencoder"),
    "dimecli.distributions": ("GaussianMixture", "HypersphereUniform", "StandardNormal", "check_codes"),
    "dimecli.data.samples": ("Source",),
    "dimecli.data.likelihood": ("Bernoulli", "Gaussian", "Laplace"),
    "dimecli.data.logistic": ("Logistic",),
    "dimecli.data.sentences": ("Characters", "Productions"),
    "dimecli.evaluation.subject": ("Subject",),
    "dimecli.grammar.semantics": ("Infix", "Instruction", "Prefix", "Semantics"),
    "dimecli.run.run": ("Drawn", "Run"),
    "dimecli.search.draws": ("draw_new",),
    "dimecli.plugin.tracker": ("history",),
    "dimecli.console": ("Progress", "Reporter"),
}
"""Modules, and the names in each that are promised; none: all of its `__all__`."""
_SPECIAL = ("__len__", "__getitem__", "__call__")


def listed() -> str:
    """The list, as Markdown."""
    parts = []
    for module, names in PROMISED.items():
        found = importlib.import_module(module)
        lines = [line for name in names or found.__all__ for line in _described(name, getattr(found, name))]
        parts.append("\n".join((f"### `{module}`", "", "```text", *lines, "```")))
    return "\n\n".join(parts)


def _described(name: str, value: Any) -> Iterator[str]:
    if inspect.isclass(value):
        yield from _class(name, value)
    elif isinstance(value, FunctionType):
        yield f"{name}{_signature(value)}"
    elif inspect.ismodule(value) or isinstance(value, tuple):
        yield name
    elif isinstance(value, dict):
        yield f"{name}: {', '.join(f'{key} = {entry.__name__}' for key, entry in value.items())}"
    else:
        yield f"{name} = {_value(value)}"


def _class(name: str, cls: type[Any]) -> Iterator[str]:
    """The class and what it defines itself; what it inherits is listed with its base."""
    bases = [base.__name__ for base in cls.__bases__ if base not in (object, BaseModel)]
    yield f"class {name}({', '.join(bases)})" if bases else f"class {name}"
    if "__init__" in vars(cls) and not (issubclass(cls, BaseModel) or is_dataclass(cls) or "Protocol" in bases):
        yield f"    {name}{_signature(cls.__init__)}"
        yield from (f"    {attribute}" for attribute in _attributes(cls))
    for key, annotation in inspect.get_annotations(cls).items():
        if not key.startswith("_"):
            yield f"    {key}: {annotation}{_default(cls, key)}"
    for key, member in vars(cls).items():
        if (key in _SPECIAL or not key.startswith("_")) and (line := _member(key, member)):
            yield f"    {line}"


def _attributes(cls: type[Any]) -> Iterator[str]:
    """What the constructor sets, in order."""
    body = ast.parse(dedent(inspect.getsource(inspect.unwrap(cls.__init__)))).body[0]
    for node in ast.walk(body):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and not node.attr.startswith("_"):
            yield node.attr


def _default(cls: type[Any], key: str) -> str:
    if issubclass(cls, BaseModel) and key in cls.model_fields:
        field = cls.model_fields[key]
        return "" if field.is_required() else f" = {_value(field.get_default(call_default_factory=True))}"
    return f" = {_value(vars(cls)[key])}" if key in vars(cls) else ""


def _member(key: str, member: Any) -> str:
    """A line of a method or a property; empty for what is neither."""
    kind = ""
    if isinstance(member, classmethod | staticmethod):
        kind, member = f"{type(member).__name__} ", member.__func__
    abstract = "abstract " * getattr(member, "__isabstractmethod__", False)
    if isinstance(member, property | cached_property):
        function: Any = member.fget if isinstance(member, property) else member.func
        return f"{abstract}property {key} -> {inspect.signature(inspect.unwrap(function)).return_annotation}"
    return f"{abstract}{kind}{key}{_signature(member)}" if isinstance(member, FunctionType) else ""


def _signature(function: Any) -> str:
    signature = inspect.signature(inspect.unwrap(function))
    shown: list[str] = []
    stars: dict[Any, str] = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
    for parameter in signature.parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY and not any(text.startswith("*") for text in shown):
            shown.append("*")
        annotation = "" if parameter.annotation is parameter.empty else f": {parameter.annotation}"
        default = "" if parameter.default is parameter.empty else f" = {_value(parameter.default)}"
        shown.append(f"{stars.get(parameter.kind, '')}{parameter.name}{annotation}{default}")
    return f"({', '.join(shown)}) -> {signature.return_annotation}"


def _value(value: Any) -> str:
    """A default value, the same in every process."""
    if isinstance(value, frozenset):
        return "{" + ", ".join(sorted(map(repr, value))) + "}"
    if isinstance(value, str | int | float | tuple | dict) or value is None:
        return repr(value)
    return str(value).replace("typing.", "") if hasattr(value, "__args__") else type(value).__name__


def written(page: str) -> str:
    """The page with the list in its place."""
    head, _, rest = page.partition(BEGIN)
    return f"{head}{BEGIN}\n\nPlugin API {API}.\n\n{listed()}\n\n{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
