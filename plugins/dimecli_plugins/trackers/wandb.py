"""Weights & Biases."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from dimecli.errors import UserError
from dimecli.lazy import optional
from dimecli.plugin import Tracker, Tracking
from dimecli.plugin.tracker import history


class WandB(Tracker):
    """Writes for Weights & Biases into the run's folder, or tells its server (extra `dimecli[wandb]`).

    Offline the numbers stay on this machine, until `wandb sync` uploads the folder.
    """

    mode: Literal["offline", "online"] = Field("offline", description="Whether numbers are uploaded as they come.")
    project: str = Field("dimecli", min_length=1, description="Project of Weights & Biases that the run belongs to.")

    def check(self) -> None:
        """Make sure that wandb is there, and to whom it belongs if it is to upload.

        Raises:
            UserError: it is not, or nobody is logged in.
        """
        wandb = optional("wandb", "--track wandb", "wandb")
        if self.mode == "online" and not wandb.login(prompt=False, verify=False):
            raise UserError("--mode online: Weights & Biases knows nobody here: wandb login, or set $WANDB_API_KEY")

    def open(self, run: Path, config: Mapping[str, Any], resumed_at: int | None) -> Tracking:
        """A run of wandb; that of a resumed run has the identifier that is in the name of the folder before it."""
        import wandb

        before = sorted((run / "wandb").glob("*run-*-*"))
        tracking = _Run(
            wandb.init(
                project=self.project,
                dir=run,
                id=before[-1].name.rpartition("-")[2] if before else None,
                name=run.name,
                config=dict(config),
                mode=self.mode,
                resume="allow",
                settings=wandb.Settings(silent=True, console="off"),
            )
        )
        if self.mode == "offline":  # a kill may have lost any part of the folder before: this one has it all
            for step, numbers in history(run):
                tracking.record(step, numbers)
        return tracking

    def see(self, run: Path) -> str:
        """The command that uploads what was written offline."""
        return f"wandb sync {shlex.quote(str(run / 'wandb' / 'latest-run'))}" if self.mode == "offline" else ""


class _Run:
    def __init__(self, run: Any) -> None:
        self._run = run

    def record(self, step: int, numbers: Mapping[str, float]) -> None:
        """Logs the numbers; a server leaves out steps that it has."""
        self._run.log(dict(numbers), step=step, commit=True)

    def finish(self, results: Mapping[str, Any] | None) -> None:
        """Adds the results to the summary, and waits until all is written."""
        self._run.summary.update(results or {})
        self._run.finish(exit_code=0 if results is not None else 1)
