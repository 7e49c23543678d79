"""TensorBoard."""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dimecli.fields import show
from dimecli.lazy import optional
from dimecli.plugin import Tracker, Tracking


class TensorBoard(Tracker):
    """Writes event files for TensorBoard into the run's folder (extra `dimecli[tensorboard]`).

    It shows the numbers as curves, and the options in its table of hyper-parameters. Several runs are
    compared by `tensorboard --logdir runs`.
    """

    def check(self) -> None:
        """Make sure that tensorboardX is there.

        Raises:
            UserError: it is not.
        """
        optional("tensorboardX", "--track tensorboard", "tensorboard")

    def open(self, run: Path, config: Mapping[str, Any], resumed_at: int | None) -> Tracking:
        """An event file; that of a resumed run takes back the later steps of the ones before it."""
        return _Events(run / "tensorboard", config, resumed_at or 0)

    def see(self, run: Path) -> str:
        """TensorBoard's command, which a package of its own brings."""
        return f"tensorboard --logdir {shlex.quote(str(run / 'tensorboard'))}"


class _Events:
    """Writes in this thread: tensorboardX's `SummaryWriter` waits for ever for a thread that a full disk ended."""

    def __init__(self, folder: Path, config: Mapping[str, Any], step: int) -> None:
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto.event_pb2 import SessionLog
        from tensorboardX.summary import hparams

        folder.mkdir(exist_ok=True)
        self._writer = EventsWriter(str(folder / "events"), f".{step}")
        self._write(step=step + 1, session_log=SessionLog(status=SessionLog.START))  # forget what is from there on
        options = {
            name: value if isinstance(value, bool | int | float) else show(value) for name, value in config.items()
        }
        *begin, self._end = hparams(options, {"validation/total": 0.0})  # names of metrics; values are the curves'
        for summary in begin:
            self._write(summary=summary)
        self._writer.flush()

    def record(self, step: int, numbers: Mapping[str, float]) -> None:
        """Adds a point to every curve."""
        from tensorboardX.summary import scalar

        for name, number in numbers.items():
            self._write(step=step, summary=scalar(name, number))
        self._writer.flush()

    def finish(self, results: Mapping[str, Any] | None) -> None:
        """Says that a finished run is, and closes the file."""
        if results is not None:
            self._write(summary=self._end)
        self._writer.close()

    def _write(self, **fields: Any) -> None:
        from tensorboardX.proto.event_pb2 import Event

        self._writer.write_event(Event(wall_time=time.time(), **fields))
