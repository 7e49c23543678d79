"""The base of everything that has options: frozen, checked, told apart from what is learned."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.fields import FieldInfo

from dimecli.errors import DeprecatedWarning, UserError, did_you_mean


class Settings(BaseModel):
    """Frozen options with bounds; unknown names, NaN and infinity are errors."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        populate_by_name=True,
        validate_default=True,  # else a run is trained whose record nobody can read
        defer_build=True,
    )

    @classmethod
    def model_rebuild(cls, *, _parent_namespace_depth: int = 2, **more: Any) -> bool | None:
        """As pydantic's, which is called before the first instance is made, when a class has all that it needs.

        Undoes that to read a deprecated field warns: not who reads an option is told, but who gives it.
        """
        done = super().model_rebuild(_parent_namespace_depth=_parent_namespace_depth + 1, **more)
        for name, field in cls.model_fields.items():
            if field.deprecated and name in vars(cls):
                delattr(cls, name)
        return done

    def __setattr__(self, name: str, value: Any) -> None:
        """Raises an AttributeError that says where to keep it instead: options do not change."""
        try:
            super().__setattr__(name, value)
        except ValidationError:
            frozen = f"{type(self).__name__} is frozen, '{name}' cannot be set"
            raise AttributeError(f"{frozen}; keep what is learned in the object that is returned") from None

    def options(self) -> dict[str, Any]:
        """The options under the names that users type (`lambda`, not `lam`), as JSON values, paths absolute."""
        values = self.model_dump(mode="json")
        paths = {name: value for name, value in self if isinstance(value, Path)}
        values |= {name: str(Path(os.path.expanduser(path)).absolute()) for name, path in paths.items()}
        return {alias: values[name] for alias, name in _names(type(self)).items() if name in values}


_S = TypeVar("_S", bound=Settings)


def checked(settings: type[_S], options: Mapping[str, Any], owner: str = "") -> _S:
    """An instance with these options, which `owner` has, such as `objective 'dime'`.

    Raises:
        UserError: names the first option that is wrong, what is allowed and what was given.
    """
    for name, field in settings.model_fields.items():
        given = str(field.validation_alias or name)
        if field.deprecated and not options.keys().isdisjoint((given, name)):
            warn_deprecated(f"{owner}: " * bool(owner) + f"option '{given}'", replacement(field))
    try:
        return settings.model_validate(options)
    except ValidationError as error:
        raise UserError(f"{owner}: " * bool(owner) + first_error(error, settings)) from error


def replacement(field: FieldInfo) -> str:
    """What to do in place of giving a field that is deprecated, such as `use --new`; empty for any other."""
    said = field.deprecated
    if not said:
        return ""
    return "it will go" if said is True else said if isinstance(said, str) else said.message


def warn_deprecated(what: str, instead: str) -> None:
    """Warns in one line of something that is deprecated, whoever in Python called dimecli."""
    warnings.warn(f"{what} is deprecated: {instead}", DeprecatedWarning, stacklevel=4)


def first_error(error: ValidationError, settings: type[Settings]) -> str:
    """The first mistake in one line: the option, what is allowed and what was given."""
    first = error.errors(include_url=False)[0]
    option = ".".join(map(str, first["loc"]))
    if first["type"] == "extra_forbidden":
        return f"no option '{option}'.{did_you_mean(option, _names(settings))}"
    said = first["msg"].removeprefix("Value error, ").removeprefix("Input ").partition(", unable to parse")[0]
    return f"{option}: {said}, got {first['input']!r}" if option else said


def _names(settings: type[Settings]) -> dict[str, str]:
    """The fields by the names that users type."""
    return {str(field.validation_alias or name): name for name, field in settings.model_fields.items()}
