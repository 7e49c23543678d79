"""What trackers promise to do."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from dimecli.plugin import Tracker
from dimecli.plugin.tracker import numbers_of
from dimecli.testing.expect import only_own_randomness

_CONFIG = {"objective/name": "tiny", "objective/weight": 0.5, "train/clip": None, "network/widths": [3, 4]}
_RESULTS = {"seconds": 1.0, "steps": 30, "terms/total": 0.5}


def check_tracker(tracker: Tracker, where: str) -> None:
    """Tracks a training that is interrupted after its second epoch, resumed after its first and finished.

    Raises:
        AssertionError: something does not hold; the message says what, and the cure.
        UserError: what the tracker needs is not here.
    """
    tracker.check()
    with tempfile.TemporaryDirectory() as folder, only_own_randomness(where):
        run = Path(folder) / "2026-11-20-tiny-1"
        run.mkdir()
        for resumed_at, epochs, results in ((None, (1, 2), None), (10, (2, 3), _RESULTS)):
            records = [_record(epoch) for epoch in epochs]
            kept = [] if resumed_at is None else [_record(1)]
            (run / "history.jsonl").write_text("".join(f"{json.dumps(record)}\n" for record in kept))
            tracking = tracker.open(run, _CONFIG, resumed_at)
            for record in records:
                tracking.record(*numbers_of(record))
            tracking.finish(results)
        tracker.see(run)


def _record(epoch: int) -> dict[str, Any]:
    """A line of `history.jsonl`."""
    terms = {"reconstruction": 1.0 / epoch, "total": 1.0 / epoch}
    shares = {"gradient_share": {"reconstruction": 1.0}} if epoch == 2 else {}
    numbers = {"epoch": epoch, "step": 10 * epoch, "seconds": 0.5 * epoch, "lr": 1e-3}
    return {**numbers, "train": terms, "validation": terms, **shares}
