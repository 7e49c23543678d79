"""What Python warns of, told on the command line in a line each."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from dimecli.errors import ChangedWarning, DeprecatedWarning

_HEADS = {DeprecatedWarning: "Warning", ChangedWarning: "Note"}


@contextmanager
def told_in_lines(words: Sequence[str]) -> Iterator[None]:
    """Tells dimecli's own warnings in place of Python's way, each text once; a quiet command tells none."""
    usual, told = warnings.showwarning, set[str]()

    def show(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
        if category not in _HEADS:
            usual(message, category, *place, **more)
        elif str(message) not in told:
            from dimecli.console import Reporter
            from dimecli.distributed import rank

            told.add(str(message))
            Reporter(rank() > 0).say(f"{_HEADS[category]}: {message}")

    with warnings.catch_warnings():
        for category in _HEADS:
            warnings.simplefilter("ignore" if "--quiet" in words else "always", category)
        warnings.showwarning = show
        yield
