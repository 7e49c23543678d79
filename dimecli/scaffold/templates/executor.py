"""Calls in threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from pydantic import Field

from dimecli.plugin import Executor


class Example(Executor):
    """Calls in threads of this process, for problems that wait for something, such as an answer from a server.

    A call that hangs keeps its thread, and the process cannot end before it.
    """

    workers: int = Field(4, ge=1, le=1000, description="Calls at a time, each in a thread.")

    grace = 1.0

    def start(self) -> ThreadPoolExecutor:
        """So many threads, which start with their first calls."""
        return ThreadPoolExecutor(self.workers, thread_name_prefix="example")
