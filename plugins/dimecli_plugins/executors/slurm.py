"""Calls as jobs of Slurm."""

from __future__ import annotations

import concurrent.futures
import math
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import Field

from dimecli.errors import UserError
from dimecli.plugin import Executor
from dimecli_plugins.executors.threads import DaemonThreads


class Slurm(Executor):
    """Calls as jobs of Slurm, for calls that take minutes or more (extra `dimecli[slurm]`).

    dimecli, and what the problem needs, must be installed on its nodes. Jobs may wait for as
    long as the cluster likes, and a timeout begins when they start.
    """

    workers: int = Field(10, ge=1, description="Jobs at a time.")
    folder: Path = Field(
        Path("slurm"),
        description="Folder that every node sees, where submitit passes calls and results as pickles: keep it yours.",
    )
    partition: str | None = Field(None, min_length=1, description="Partition of the cluster; without it Slurm's own.")
    minutes: int = Field(60, ge=1, description="Time limit of each job.")

    kills = True
    grace = math.inf

    def start(self) -> concurrent.futures.Executor:
        """What submits a job for each call.

        Raises:
            UserError: submitit is not installed, or Slurm is not.
        """
        try:
            import submitit
        except ImportError as error:
            raise UserError("--executor slurm: submitit is not installed: pip install 'dimecli[slurm]'") from error
        try:
            cluster = submitit.AutoExecutor(folder=self.folder, cluster="slurm")
        except RuntimeError as error:
            raise UserError(f"--executor slurm: {error}") from error
        cluster.update_parameters(name="dime", timeout_min=self.minutes, slurm_partition=self.partition)
        return _Jobs(cluster, self.workers)


class _Jobs(DaemonThreads):
    """Threads, each of which submits jobs and waits for them."""

    def __init__(self, cluster: Any, workers: int) -> None:
        super().__init__(workers)
        self._cluster = cluster
        self._jobs: list[Any] = []
        self._submits = threading.Lock()  # of one job at a time, and none that `shutdown` does not know
        self._ended = False

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> concurrent.futures.Future[Any]:
        return super().submit(self._run, partial(fn, *args, **kwargs))

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Cancels the jobs that still run, unless told to wait for them."""
        super().shutdown(wait, cancel_futures=cancel_futures)
        with self._submits:
            self._ended = True
            for job in list(self._jobs):
                job.cancel()

    def _run(self, call: Callable[[], Any]) -> Any:
        with self._submits:
            if self._ended:
                raise concurrent.futures.CancelledError
            job = self._cluster.submit(call)
            self._jobs.append(job)
        try:
            return job.result()
        finally:
            self._jobs.remove(job)
