"""The contract of trackers: what keeps it passes, and each breach is told by the promise that it breaks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from dimecli.errors import UserError
from dimecli.plugin import Tracker, Tracking
from dimecli.testing import Contract, Finding
from dimecli.testing.trackers import check_tracker

CHECK = "check() finds what it needs"
TRACKS = "it tracks a training that is interrupted"
GOES_ON = "it goes on with one that is resumed, and finishes"


def findings(tracker: Tracker) -> list[Finding]:
    contract = Contract(asks=True)
    with contract.section():
        check_tracker(contract, tracker)
    return contract.findings


def broken(tracker: Tracker) -> dict[str, str]:
    """What is wrong, by the promise that is broken."""
    return {finding.promise: finding.reason for finding in findings(tracker) if finding.held is False}


class Lines:
    """A line for each record."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def record(self, step: int, numbers: Mapping[str, float]) -> None:
        with self.file.open("a") as file:
            file.write(json.dumps({"step": step, **numbers}) + "\n")

    def finish(self, results: Mapping[str, Any] | None) -> None:
        self.record(-1, results or {})


class Good(Tracker):
    """A line for each record, in a file of the run."""

    def open(self, run: Path, config: Mapping[str, Any], resumed_at: int | None) -> Tracking:
        return Lines(run / "lines.jsonl")


class Needy(Good):
    """Needs a server."""

    def check(self) -> None:
        raise UserError("there is no server")


class Fresh(Good):
    """Cannot go on."""

    def open(self, run: Path, config: Mapping[str, Any], resumed_at: int | None) -> Tracking:
        if resumed_at is not None:
            raise ValueError(resumed_at)
        return super().open(run, config, resumed_at)


class Narrow(Good):
    """Takes no None among the options."""

    def open(self, run: Path, config: Mapping[str, Any], resumed_at: int | None) -> Tracking:
        sum(len(value) for value in config.values() if not isinstance(value, float))
        return super().open(run, config, resumed_at)


class Draws(Good):
    """Makes up a name for the run."""

    def open(self, run: Path, config: Mapping[str, Any], resumed_at: int | None) -> Tracking:
        torch.rand(())
        return super().open(run, config, resumed_at)


class Blunt(Good):
    """Wants results, whatever happened."""

    def open(self, run: Path, config: Mapping[str, Any], resumed_at: int | None) -> Tracking:
        class Wanting(Lines):
            def finish(self, results: Mapping[str, Any] | None) -> None:
                len(results)  # type: ignore[arg-type]

        return Wanting(run / "lines.jsonl")


class Mute(Good):
    """Says nothing of where to look."""

    def see(self, run: Path) -> str:
        return None  # type: ignore[return-value]


def test_a_good_tracker_keeps_every_promise() -> None:
    assert all(finding.held for finding in findings(Good()))


def test_what_is_not_here_is_told() -> None:
    (found,) = findings(Needy())
    assert (found.promise, found.held, found.reason) == (CHECK, None, "there is no server")


@pytest.mark.parametrize(
    ("tracker", "promise", "reason"),
    [
        (Fresh, GOES_ON, "ValueError: 10 (test_trackers_contract.py, line "),
        (Narrow, TRACKS, "TypeError: object of type 'NoneType' has no len()"),
        (Draws, TRACKS, "it draws from torch's global generator"),
        (Blunt, TRACKS, "TypeError: object of type 'NoneType' has no len()"),
        (Mute, "see(run) says where to look", "it is None; return a text, or '' for none"),
    ],
)
def test_a_breach_is_told_by_its_promise(tracker: type[Tracker], promise: str, reason: str) -> None:
    found = broken(tracker())
    assert list(found) == [promise]
    assert reason in found[promise]
