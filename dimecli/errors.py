"""What goes wrong, told in one line. The command line prints these without a traceback."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_SHOWN = 20  # names; a folder may hold hundreds of runs


class DimeError(Exception):
    """Something failed that is no mistake of the user (exit code 1)."""

    exit_code = 1


class UserError(DimeError):
    """A mistake of the user: the message names what was given and what is allowed (exit code 2)."""

    exit_code = 2


class PluginError(DimeError):
    """A plugin cannot be used: the message names its distribution, version, module and the cause."""


class PluginFailedError(PluginError):
    """A plugin raised something while it worked, which is the cause of this."""


class DeprecatedWarning(FutureWarning):
    """A plugin or an option is there for a while only: the message says what to use in its place."""


class ChangedWarning(UserWarning):
    """A file is not any more what it was when a run was trained with it."""


def did_you_mean(name: str, allowed: Iterable[str]) -> str:
    """The nearest of `allowed` as a question, and the first of them, to be put behind a sentence."""
    known = sorted(set(allowed))
    nearest = difflib.get_close_matches(name, known, n=1)
    question = f" Did you mean '{nearest[0]}'?" if nearest else ""
    more = f" and {len(known) - _SHOWN} more" if len(known) > _SHOWN else ""
    return f"{question} Known: {', '.join(known[:_SHOWN]) or 'none'}{more}."
