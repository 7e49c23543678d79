"""What trackers promise to do."""

from __future__ import annotations

import tempfile
from pathlib import Path

from dimecli.plugin import Tracker
from dimecli.testing.expect import only_own_randomness

_CONFIG = {"objective": {"name": "tiny", "weight": 0.5}, "train": {"epochs": 2, "clip": None, "widths": [3, 4]}}


def check_tracker(tracker: Tracker, where: str) -> None:
    """Tracks a training that is interrupted, resumed and finished.

    Raises:
        AssertionError: something does not hold; the message says what, and the cure.
        UserError: what the tracker needs is not here.
    """
    with tempfile.TemporaryDirectory() as folder, only_own_randomness(where):
        run = Path(folder) / "2026-11-20-tiny-1"
        run.mkdir()
        for step, results in ((0, None), (10, {"seconds": 1.0, "terms": {"reconstruction": 0.5}})):
            tracking = tracker.open(run, _CONFIG, step)
            for epoch in (1, 2):
                terms = {"reconstruction": 1.0 / epoch, "total": 1.0 / epoch}
                shares = {"gradient_share": {"reconstruction": 1.0}} if epoch == 2 else {}
                numbers = {"epoch": epoch, "step": step + 10 * epoch, "seconds": 0.5 * epoch, "lr": 1e-3}
                tracking.record({**numbers, "train": terms, "validation": terms, **shares})
            tracking.finish(results)
