"""What trackers promise to do."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dimecli.plugin import Tracker
from dimecli.plugin.tracker import numbers_of
from dimecli.testing.contract import Contract
from dimecli.testing.expect import expect, only_own_randomness

_CONFIG = {"objective/name": "tiny", "objective/weight": 0.5, "train/clip": None, "network/widths": [3, 4]}
_RESULTS = {"seconds": 1.0, "steps": 30, "terms/total": 0.5}


def check_tracker(contract: Contract, tracker: Tracker) -> None:
    """Tracks a training that is interrupted after its second epoch, resumed after its first and finished."""
    with contract.needed("check() finds what it needs"):
        tracker.check()
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "2026-11-20-tiny-1"
        run.mkdir()
        with contract.needed("it tracks a training that is interrupted"), only_own_randomness():
            _track(tracker, run, None, (1, 2), None)
        with contract.needed("it goes on with one that is resumed, and finishes"), only_own_randomness():
            _track(tracker, run, 10, (2, 3), _RESULTS)
        with contract.promise("see(run) says where to look"):
            told = tracker.see(run)
            expect(isinstance(told, str), f"it is {told!r}", "return a text, or '' for none")


def _track(
    tracker: Tracker, run: Path, resumed_at: int | None, epochs: tuple[int, ...], results: Mapping[str, Any] | None
) -> None:
    """One process of the training: what stays of the history, its epochs, and how it ends."""
    kept = [] if resumed_at is None else [_record(1)]
    (run / "history.jsonl").write_text("".join(f"{json.dumps(record)}\n" for record in kept))
    tracking = tracker.open(run, _CONFIG, resumed_at)
    for epoch in epochs:
        tracking.record(*numbers_of(_record(epoch)))
    tracking.finish(results)


def _record(epoch: int) -> dict[str, Any]:
    """A line of `history.jsonl`."""
    terms = {"reconstruction": 1.0 / epoch, "total": 1.0 / epoch}
    shares = {"gradient_share": {"reconstruction": 1.0}} if epoch == 2 else {}
    numbers = {"epoch": epoch, "step": 10 * epoch, "seconds": 0.5 * epoch, "lr": 1e-3}
    return {**numbers, "train": terms, "validation": terms, **shares}
