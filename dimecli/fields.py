"""The options of plugins and settings in the words that users see: names, forms, bounds and defaults."""

from __future__ import annotations

import types
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from dimecli.settings import Settings

SCALARS = (bool, int, float, str, Path)
_BOUNDS = {
    "gt": "> {}",
    "ge": ">= {}",
    "lt": "< {}",
    "le": "<= {}",
    "min_length": "at least {}",
    "max_length": "at most {}",
}
_LARGE = {2**exponent for exponent in range(20, 65)}  # in digits nobody would recognise them


@dataclass(frozen=True)
class Form:
    """How the values of an option are written: one or several `item`s, or one of a few `choices`."""

    item: type[Any]
    choices: tuple[Any, ...] = ()
    many: bool = False
    optional: bool = False
    bounds: tuple[str, ...] = ()

    @property
    def is_flag(self) -> bool:
        """Whether `--x` and `--no-x` say it all."""
        return self.item is bool and not self.many

    @property
    def label(self) -> str:
        """The form in a few letters, such as `int`, `float|none`, `best|last` or `int,int,...`."""
        one = "|".join(map(str, self.choices)) or self.item.__name__.lower()
        several = (f"{one},..." if self.choices else f"{one},{one},...") if self.many else one
        return f"{several}|none" if self.optional and not self.is_flag else several

    def parse(self, text: str) -> Any:
        """What `text` stands for; the settings class turns it into numbers and checks them."""
        if self.optional and text == "none" and self.item not in (str, Path):
            return None
        if self.many:
            one = replace(self, many=False, optional=False)
            return [one.parse(part.strip()) for part in text.split(",")] if text else []
        return {str(choice): choice for choice in self.choices}.get(text, text)


def options_of(settings: type[Settings]) -> dict[str, FieldInfo]:
    """The fields by the names that users type: `lambda`, not `lam`."""
    return {str(field.validation_alias or name): field for name, field in settings.model_fields.items()}


def form_of(field: FieldInfo) -> Form:
    """How values of the field are written.

    Raises:
        TypeError: the field's type has no form on a command line, or the field has no default.
    """
    if field.is_required():
        raise TypeError("it has no default, and every option needs one")
    form = _form(field.annotation)
    return replace(form, bounds=(*_bounds(field.metadata), *form.bounds))


def show(value: Any) -> str:
    """A value as it is written in a command line: `512,256`, `none`, `true`."""
    if isinstance(value, list | tuple):
        return ",".join(map(show, value))
    if isinstance(value, float):
        return f"{value:.12g}"  # products of published numbers end in rounding errors
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)


def _form(annotation: Any) -> Form:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return replace(_form(arguments[0]), bounds=tuple(_bounds(arguments[1:])))
    if origin in (Union, types.UnionType):
        some = [argument for argument in arguments if argument is not type(None)]
        if len(some) == 1:
            return replace(_form(some[0]), optional=True)
    elif origin is Literal:
        return Form(str, choices=arguments)
    elif annotation in SCALARS:
        return Form(annotation)
    elif origin in (list, tuple) and len(items := {item for item in arguments if item is not Ellipsis}) == 1:
        item = _form(items.pop())
        if not (item.many or item.optional):
            return replace(item, many=True, bounds=tuple(f"each {bound}" for bound in item.bounds))
    raise TypeError(
        f"{annotation} has no form on a command line; use bool, int, float, str, Path, Literal, "
        "a list or tuple of one of them, or one of these | None"
    )


def _bounds(metadata: Sequence[Any]) -> Iterator[str]:
    for item in metadata:
        constraints = item.metadata if isinstance(item, FieldInfo) else [item]
        for constraint in constraints:
            for name, words in _BOUNDS.items():
                if (bound := getattr(constraint, name, None)) is not None:
                    yield words.format(f"2^{int(bound).bit_length() - 1}" if bound in _LARGE else bound)
