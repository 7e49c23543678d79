"""What trackers of training keep to."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from dimecli.plugin.base import Plugin


class Tracking(Protocol):
    """An open tracker."""

    def record(self, record: Mapping[str, Any]) -> None:
        """Take a line of `history.jsonl`: epoch, step, seconds, lr, train, validation, now and then gradient_share."""

    def finish(self, results: Mapping[str, Any] | None) -> None:
        """The end: the run's `results`, or None where training was interrupted or failed; whoever is open closes."""


class Tracker(Plugin):
    """Where the numbers of a training go besides `history.jsonl`, which always has them."""

    kind = "tracker"
    group = "dimecli.trackers"
    option = "track"

    @abstractmethod
    def open(self, run: Path, config: Mapping[str, Any], step: int) -> Tracking:
        """Start to track.

        Args:
            run: The run's folder.
            config: The run's options, the tables of its `run.json`.
            step: 0, or where a resumed run goes on: records after it, which an earlier process may have told,
                come again.

        Raises:
            UserError: a package is missing (which extra has it), or an option is wrong.
        """
