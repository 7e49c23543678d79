"""What protocols keep to: comparisons that were published, to be repeated."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from typing import Protocol as Interface

from dimecli.plugin.base import Plugin

if TYPE_CHECKING:
    from dimecli.console import Reporter
    from dimecli.run.run import Run


class Lab(Interface):
    """Where a protocol works: what was done there once is not done again."""

    reporter: Reporter

    def train(self, name: str, tables: Mapping[str, Mapping[str, Any]]) -> Run:
        """The run of that name, trained now unless it is there, and resumed where it was interrupted.

        Args:
            name: Such as `gvae`.
            tables: Laid out as a TOML file for `dime train`; plugins are named by `name`.
        """

    def result(self, key: str, compute: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any]:
        """The result of that name, JSON values, computed now unless it is there."""


class Protocol(Plugin):
    """A published comparison: it trains, measures, and puts its numbers beside the published ones."""

    kind = "protocol"
    group = "dimecli.protocols"

    @abstractmethod
    def run(self, lab: Lab) -> str:
        """The report, in Markdown."""
