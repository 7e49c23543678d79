"""Calls on a Dask cluster."""

from __future__ import annotations

import concurrent.futures
import importlib
import logging
import warnings
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from pydantic import Field

from dimecli.errors import DimeError, UserError
from dimecli.machine import physical_cores
from dimecli.plugin import Executor

_SECONDS = 30  # to find a scheduler, and a worker that has nothing to do


class Dask(Executor):
    """Calls on the workers of a Dask cluster (extra `dimecli[dask]`).

    dimecli, and what the problem needs, must be installed there. A call that hangs goes on there.
    """

    workers: int = Field(
        default_factory=physical_cores, ge=1, description="Calls at a time; without --scheduler each in a process."
    )
    scheduler: str | None = Field(
        None,
        min_length=1,
        description="Address of a running scheduler, such as tls://head:8786, or tcp://head:8786, which lets anyone "
        "on its network run code; TLS is set up in Dask's own configuration, distributed.comm.tls. "
        "Without it a scheduler and workers are started here, for this search alone.",
    )

    def start(self) -> concurrent.futures.Executor:
        """A client of the scheduler, once a worker answers.

        Raises:
            UserError: Dask is not installed, or no scheduler answers there.
            DimeError: no worker answers.
        """
        try:
            distributed: Any = importlib.import_module("distributed")
        except ImportError as error:
            raise UserError("--executor dask: Dask is not installed: pip install 'dimecli[dask]'") from error
        if self.scheduler is None:
            cluster = distributed.LocalCluster(
                n_workers=self.workers,
                threads_per_worker=1,
                host="127.0.0.1",
                dashboard_address=None,
                silence_logs=logging.CRITICAL,  # outcomes tell
                scheduler_kwargs={"allowed_failures": 0},  # who killed a worker is found out by the search
            )
            return _Calls(distributed.Client(cluster), cluster)
        _warn_if_open(self.scheduler)
        try:
            client = distributed.Client(self.scheduler, timeout=_SECONDS)
        except (OSError, ValueError, RuntimeError) as error:
            raise UserError(f"--scheduler {self.scheduler}: no Dask scheduler answers there: {error}") from error
        return _Calls(client)


class _Calls(concurrent.futures.Executor):
    """What submits to a client, and closes it, and the cluster that was started for it."""

    def __init__(self, client: Any, *own: Any) -> None:
        self._closed = [client, *own]
        self._executor = client.get_executor(pure=False)
        try:
            self.submit(int).result(_SECONDS)
        except concurrent.futures.TimeoutError:
            self.shutdown(wait=False)
            raise DimeError(f"--executor dask: no worker is free after {_SECONDS} s; have some been started?") from None

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> concurrent.futures.Future[Any]:
        future: concurrent.futures.Future[Any] = self._executor.submit(fn, *args, **kwargs)
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self._executor.shutdown(wait=wait)
        for opened in self._closed:
            opened.close()


def _warn_if_open(address: str) -> None:
    parts = urlsplit(address if "://" in address else f"tcp://{address}")
    if parts.scheme == "tcp" and parts.hostname not in ("127.0.0.1", "::1", "localhost"):
        warnings.warn(
            f"--scheduler {address}: anyone who reaches it can run code on its workers and here; "
            "use tls://, set up in Dask's configuration",
            stacklevel=3,
        )
