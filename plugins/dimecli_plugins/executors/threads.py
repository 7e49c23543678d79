"""Calls in threads of this process."""

from __future__ import annotations

import concurrent.futures
import threading
from collections.abc import Callable
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any

from pydantic import Field

from dimecli.machine import physical_cores
from dimecli.plugin import Executor


class Threads(Executor):
    """Calls in threads of this process, for what waits more than it computes.

    A call that hangs goes on for as long as the process; one that kills its process ends the search too.
    """

    workers: int = Field(default_factory=physical_cores, ge=1, description="Calls at a time, each in a thread.")

    grace = 0.0

    def start(self) -> concurrent.futures.Executor:
        """So many threads, waiting for calls."""
        return DaemonThreads(self.workers)


class DaemonThreads(concurrent.futures.Executor):
    """Threads that, unlike those of ThreadPoolExecutor, do not keep the interpreter from exiting."""

    def __init__(self, workers: int) -> None:
        self._calls: SimpleQueue[tuple[concurrent.futures.Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(workers)]
        for thread in self._threads:
            thread.start()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> concurrent.futures.Future[Any]:
        """The future of a call, made as soon as a thread is free."""
        future: concurrent.futures.Future[Any] = concurrent.futures.Future()
        self._calls.put((future, partial(fn, *args, **kwargs)))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Ends the threads once their calls are done, and waits for that if told."""
        while cancel_futures:
            try:
                call = self._calls.get_nowait()
            except Empty:
                break
            if call is not None:
                call[0].cancel()
        for _ in self._threads:
            self._calls.put(None)
        for thread in self._threads if wait else ():
            thread.join()

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            future, function = call
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(function())
                except BaseException as error:  # a future carries them all
                    future.set_exception(error)
