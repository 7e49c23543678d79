"""What executors keep to: where the oracle runs."""

from __future__ import annotations

import concurrent.futures
from abc import abstractmethod
from typing import ClassVar

from pydantic import Field

from dimecli.plugin.base import Plugin


class Executor(Plugin):
    """Runs calls of the oracle: in this process, in others, or on other machines."""

    kind = "executor"
    group = "dimecli.executors"

    workers: int = Field(1, ge=1, description="Calls at a time.")

    kills: ClassVar[bool] = False
    """Whether `stop` ends a call that is still running."""
    grace: ClassVar[float] = 5.0
    """Seconds that a call may need beyond its own time, to be started and to come back; infinity: it may
    wait for as long as it likes, and what makes it ends it in time."""

    @abstractmethod
    def start(self) -> concurrent.futures.Executor:
        """An executor that is ready for calls.

        Raises:
            UserError: what it needs is not installed, or not there; the message says what.
        """

    def stop(self, executor: concurrent.futures.Executor) -> None:
        """Give back what `start` took, without waiting for calls that still run."""
        executor.shutdown(wait=False, cancel_futures=True)
