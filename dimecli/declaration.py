"""What the class of a plugin says of itself: a mistake is told when it is loaded, not where it would lead to."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Set
from typing import Any, Literal, get_args

from dimecli.data.spec import Modality
from dimecli.fields import form_of, options_of
from dimecli.plugin import Plugin
from dimecli.plugin.base import LatentSpace

_ONE: dict[str, Any] = {"latent_space": LatentSpace, "direction": Literal["min", "max"]}
_SEVERAL: dict[str, Any] = {"latent_spaces": LatentSpace, "modalities": Modality}
"""Class variables with one of these values, and those with a set of them, of the kinds that have them."""


def fault(cls: type[Plugin], base: type[Plugin]) -> str | None:
    """The first mistake in how a class is declared, with the cure; None where there is none.

    Args:
        cls: The plugin's class.
        base: That of its kind.
    """
    return next((wrong for look in (_abstract, _options, _variables, _methods) for wrong in look(cls, base)), None)


def _abstract(cls: type[Plugin], base: type[Plugin]) -> Iterator[str]:
    if missing := sorted(getattr(cls, "__abstractmethods__", ())):
        yield f" lacks {', '.join(missing)}, which every {base.kind} must define"


def _options(cls: type[Plugin], base: type[Plugin]) -> Iterator[str]:
    for key, field in options_of(cls).items():
        try:
            form_of(field)
        except TypeError as error:
            yield f": option '{key}': {error}"


def _variables(cls: type[Plugin], base: type[Plugin]) -> Iterator[str]:
    for name, type_ in (_ONE | _SEVERAL).items():
        value = getattr(cls, name, None) if hasattr(base, name) else None
        if value is None or isinstance(value, property):  # an option, or computed from some
            continue
        allowed = get_args(type_)
        if name in _ONE and value not in allowed:
            yield f": {name} is {value!r}; allowed: {', '.join(map(repr, allowed))}"
        elif name in _SEVERAL and not (isinstance(value, Set) and value <= {*allowed}):
            yield f": {name} is {value!r}; give a frozenset of {', '.join(map(repr, allowed))}"


def _methods(cls: type[Plugin], base: type[Plugin]) -> Iterator[str]:
    """What is called for every plugin of the kind has to take what every plugin of the kind is given."""
    for name, declared in [member for owner in (base, Plugin) for member in vars(owner).items()]:
        own = inspect.getattr_static(cls, name, None)
        if name.startswith("_") or own is declared or not (inspect.isfunction(declared) and inspect.isfunction(own)):
            continue
        needed = [one.name for one in _parameters(declared) if one.default is one.empty]
        try:
            inspect.signature(own).bind(*needed)
        except TypeError:
            taken = ", ".join(one.name for one in _parameters(own))
            yield f": {name} takes ({taken}); define {name}({', '.join(needed)})"


def _parameters(method: Callable[..., Any]) -> list[inspect.Parameter]:
    return list(inspect.signature(method).parameters.values())
