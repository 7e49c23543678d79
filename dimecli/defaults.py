"""What is taken where the user names no plugin: distributions say it, since the core knows none by name."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from importlib.metadata import EntryPoint
from typing import Literal

from dimecli.errors import PluginError, UserError
from dimecli.registry import points_of

Role = Literal[
    "objective",
    "dataset",
    "network",
    "grammar",
    "density",
    "classifier",
    "search",
    "image network",  # the network for images
    "sentences",  # the dataset that `--grammar` is an option of
    "baselines",  # searches, with commas between, that a cheap problem is compared with
    "arithmetic",  # the problem of a grammar file whose sentences are arithmetic
    "function",  # the problem behind `--problem FILE.py:FUNCTION`, which has an option `function`
    "program",  # the problem behind `--problem 'cmd:PROGRAM {}'`, which has an option `command`
    "here",  # the executor for problems that are cheap
    "elsewhere",  # the executor for all others
]
GROUP = "dimecli.defaults"
"""The group of entry points that name a mapping from roles to names of plugins."""

_TOLD = {
    "image network": "network for images",
    "sentences": "dataset of sentences",
    "arithmetic": "problem of arithmetic",
    "function": "problem for a function of Python",
    "program": "problem for a program",
    "here": "executor for cheap problems",
    "elsewhere": "executor",
}
"""What messages call the roles that are not called after a kind."""


def default(role: Role) -> str:
    """The name of the plugin that plays a role unless the user names another.

    Raises:
        UserError: no installed distribution says which.
        PluginError: a distribution's defaults do not import.
    """
    name = optional(role)
    if name is None:
        chosen = os.environ.get("DIME_PLUGINS")
        among = f"the distributions in $DIME_PLUGINS ({chosen})" if chosen else "the installed distributions"
        raise UserError(f"no {_TOLD.get(role, role)} is named, and none of {among} says which to take; name one")
    return name


def optional(role: Role) -> str | None:
    """As `default`; None where no distribution says which.

    Raises:
        PluginError: the defaults of a distribution do not import, and none before it says which.
    """
    return next((name for one in points_of(GROUP) if (name := _loaded(*one).get(role))), None)


@cache
def _loaded(origin: str, point: EntryPoint) -> Mapping[str, str]:
    """What a distribution declares."""
    try:
        return dict(point.load())
    except (Exception, SystemExit) as error:  # a third party's module may raise anything, or leave
        raise PluginError(f"defaults of {origin} ({point.value}): {type(error).__name__}: {error}") from error
