"""Trackio."""

from __future__ import annotations

import io
import shlex
from collections.abc import Mapping
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from pydantic import Field

from dimecli.lazy import optional
from dimecli.plugin import Tracker, Tracking


class Trackio(Tracker):
    """Keeps the numbers where Trackio keeps those of all projects of a user (extra `dimecli[trackio]`).

    That is a database on this machine, in `$TRACKIO_DIR` or Trackio's own folder; nothing is uploaded.
    """

    project: str = Field("dimecli", min_length=1, description="Project of Trackio that the run belongs to.")

    def check(self) -> None:
        """Make sure that Trackio is there.

        Raises:
            UserError: it is not.
        """
        optional("trackio", "--track trackio", "trackio")

    def open(self, run: Path, config: Mapping[str, Any], resumed_at: int | None) -> Tracking:
        """A run of Trackio; a resumed run goes on with the newest one of its name."""
        return _Run(self.project, run.name, config, resume="never" if resumed_at is None else "allow")

    def see(self, run: Path) -> str:
        """Trackio's command."""
        return f"trackio show --project {shlex.quote(self.project)}"


class _Run:
    def __init__(self, project: str, name: str, config: Mapping[str, Any], resume: str) -> None:
        import trackio
        from trackio.sqlite_storage import SQLiteStorage

        with redirect_stdout(io.StringIO()):  # it says more than a user of dime has asked
            self._run = trackio.init(
                project,
                name,
                config=dict(config),
                resume=resume,
                space_id=None,
                embed=False,
                auto_log_cpu=False,
                auto_log_gpu=False,
            )
        self._told = SQLiteStorage.get_last_step(project, name, run_id=self._run.id)

    def record(self, step: int, numbers: Mapping[str, float]) -> None:
        """Logs what Trackio does not have yet."""
        if step > (self._told or 0):
            self._run.log(dict(numbers), step)

    def finish(self, results: Mapping[str, Any] | None) -> None:
        """Waits until the numbers are written."""
        import trackio

        with redirect_stdout(io.StringIO()):
            trackio.finish()
