"""Calls one after the other."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Callable
from typing import Any

from pydantic import Field

from dimecli.plugin import Executor


class Serial(Executor):
    """Calls one after the other, in this process and thread.

    A call that kills its process ends the search too. A timeout ends a call that runs Python code in a
    main thread, not on Windows.
    """

    workers: int = Field(1, ge=1, le=1, description="Calls at a time.")

    def start(self) -> concurrent.futures.Executor:
        """An executor whose `submit` makes the call."""
        return _Here()


class _Here(concurrent.futures.Executor):
    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> concurrent.futures.Future[Any]:
        future: concurrent.futures.Future[Any] = concurrent.futures.Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # and no KeyboardInterrupt: that is the user's
            future.set_exception(error)
        return future
