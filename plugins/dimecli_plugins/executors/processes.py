"""Calls in processes of this machine."""

from __future__ import annotations

import concurrent.futures
import os
import signal
import sys
import threading
import time
from typing import Any

from pydantic import Field

from dimecli.machine import physical_cores
from dimecli.plugin import Executor


class Processes(Executor):
    """Calls in processes of their own on this machine, by loky; one that dies or hangs is replaced.

    Numerical libraries share the cores out among them.
    """

    workers: int = Field(default_factory=physical_cores, ge=1, description="Calls at a time, each in a process.")

    kills = True
    grace = 30.0  # in place of a process that was killed another one starts, and imports what it needs

    def start(self) -> concurrent.futures.Executor:
        """So many processes, started with the first call."""
        from loky import ProcessPoolExecutor

        threads = max(1, physical_cores() // self.workers)
        names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
        pool: concurrent.futures.Executor = ProcessPoolExecutor(
            self.workers,
            env=dict.fromkeys(names, str(threads)),
            initializer=_prepare,
            initargs=(os.getpid(),),
        )
        return pool

    def stop(self, executor: Any) -> None:
        """Kill the processes, and those that they started."""
        executor.shutdown(kill_workers=True)


def _prepare(parent: int) -> None:
    """Makes a worker, and what it starts, end with its parent, however that ends; Ctrl-C is for the parent alone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform != "win32":
        os.setpgrp()
    threading.Thread(target=_follow, args=(parent,), daemon=True).start()


def _follow(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    if sys.platform != "win32":
        os.killpg(0, signal.SIGKILL)
    os._exit(1)
