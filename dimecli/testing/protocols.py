"""What protocols promise to do, as far as that can be seen before anything is trained."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from dimecli.console import QUIET
from dimecli.errors import UserError
from dimecli.plugin import Protocol
from dimecli.testing.contract import Contract
from dimecli.testing.expect import expect

_TABLES = frozenset({"objective", "dataset", "network", "train"})


def check_protocol(contract: Contract, protocol: Protocol) -> None:
    """Lets it go on until it asks for a first result, or for anything of a run; nothing is trained or read."""
    lab = _EmptyLab()
    with contract.needed("what it trains names plugins and options that there are"), suppress(_NothingThereError):
        protocol.run(lab)
    with contract.promise("it trains or measures in its lab, where it can go on after an interruption"):
        expect(lab.trained or lab.asked, "it asks the lab for nothing", "train by lab.train, and compute in lab.result")
    with contract.promise("each of its runs has a name of its own"):
        names = [name for name, _ in lab.trained]
        twice = sorted({a for a, one in lab.trained for b, other in lab.trained if a == b and one != other})
        expect(not twice, f"of {names}, {twice} are trained in several ways", "give each a name of its own")


class _NothingThereError(BaseException):
    """A protocol asks for what takes hours; no `except Exception` of it may go on from there."""


class _NoRun:
    """In place of a trained run."""

    def __getattr__(self, name: str) -> Any:
        raise _NothingThereError


class _EmptyLab:
    """Looks at what is to be trained, as training does, and goes no further."""

    reporter = QUIET

    def __init__(self) -> None:
        self.trained: list[tuple[str, Mapping[str, Any]]] = []
        self.asked = False

    def train(self, name: str, tables: Mapping[str, Mapping[str, Any]]) -> Any:
        """Nothing, but the tables have to be right.

        Raises:
            AssertionError: they name a table, a plugin or an option that there is not.
        """
        from dimecli.search.lab import experiment_of

        where = f"lab.train('{name}', ...)"
        for table in ("objective", "dataset"):
            expect(table in tables, f"{where} has no table [{table}]", "give one, with the plugin's name")
        unknown = sorted(tables.keys() - _TABLES)
        expect(not unknown, f"{where} has tables {unknown}", f"use some of {', '.join(sorted(_TABLES))}")
        try:
            experiment = experiment_of(tables)
        except UserError as error:  # a mistake of the protocol, not of who uses it
            raise AssertionError(f"{where}: {error}") from error
        self.trained.append((name, experiment.config()))
        return _NoRun()

    def result(self, key: str, compute: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any]:
        """Nothing."""
        self.asked = True
        raise _NothingThereError
