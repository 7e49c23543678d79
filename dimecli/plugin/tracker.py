"""What trackers of training keep to."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from dimecli.plugin.base import Plugin
from dimecli.run.files import whole_lines


class Tracking(Protocol):
    """An open tracker. Whatever it raises is told to the user once, and it is asked nothing any more."""

    def record(self, step: int, numbers: Mapping[str, float]) -> None:
        """Take the numbers of a line of `history.jsonl`: `lr`, `train/total`, `gradient_share/information`, ..."""

    def finish(self, results: Mapping[str, Any] | None) -> None:
        """Close: with the run's results, such as `terms/total`, or None where it was interrupted or failed."""


class Tracker(Plugin):
    """Where the numbers of a training go besides `history.jsonl`, which always has them."""

    kind = "tracker"
    group = "dimecli.trackers"
    option = "track"

    def check(self) -> None:
        """Make sure that what the tracker needs is there; asked before anything is trained or written.

        Raises:
            UserError: a package is missing (which extra has it), or an option is wrong.
        """

    @abstractmethod
    def open(self, run: Path, config: Mapping[str, Any], resumed_at: int | None) -> Tracking:
        """Start to track, before the first step.

        Args:
            run: The run's folder; a tracker that writes files puts them there.
            config: The run's options by names such as `objective/lambda`: numbers, texts, lists and None.
            resumed_at: None, or the step from which a resumed run goes on: an earlier process has tracked it,
                and the records of later steps that this one may have told come again, with the same numbers.

        Raises:
            UserError: an option is wrong, which ends the training; anything else is only told.
        """

    def see(self, run: Path) -> str:
        """How the user can see what was tracked: a command, a file or an address."""
        return ""


def flat(table: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """A table of tables as one, with names such as `train/reconstruction`."""
    found: dict[str, Any] = {}
    for key, value in table.items():
        found |= flat(value, f"{above}{key}/") if isinstance(value, Mapping) else {f"{above}{key}": value}
    return found


def numbers_of(record: Mapping[str, Any]) -> tuple[int, dict[str, float]]:
    """The step of a record of `history.jsonl`, and its numbers by such names."""
    numbers = flat(record)
    return numbers.pop("step"), numbers


def history(run: Path) -> list[tuple[int, dict[str, float]]]:
    """Steps and numbers of all records so far: those that a resumed run keeps, when a tracker opens."""
    return [numbers_of(json.loads(line)) for line in whole_lines(run / "history.jsonl")]
