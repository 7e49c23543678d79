"""Calls on a Ray cluster."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Callable
from typing import Any

from pydantic import Field

from dimecli.errors import UserError
from dimecli.machine import physical_cores
from dimecli.plugin import Executor


class Ray(Executor):
    """Calls on a Ray cluster (extra `dimecli[ray]`).

    dimecli, and what the problem needs, must be installed there.
    """

    workers: int = Field(
        default_factory=physical_cores, ge=1, description="Calls at a time, each in a process of one core."
    )
    address: str | None = Field(
        None,
        min_length=1,
        description="Address of a running cluster, such as ray://head:10001, in a network that you trust: Ray runs the "
        "code of anyone who reaches it. Without it Ray is started here, for this search alone.",
    )

    kills = True
    grace = 30.0  # Ray starts a process when there is none

    def start(self) -> concurrent.futures.Executor:
        """A connection to the cluster.

        Raises:
            UserError: Ray is not installed, or no cluster answers there.
        """
        try:
            import ray
        except ImportError as error:
            raise UserError("--executor ray: Ray is not installed: pip install 'dimecli[ray]'") from error
        here: dict[str, Any] = {"num_cpus": self.workers, "include_dashboard": False}
        try:
            ray.init(address=self.address or "local", log_to_driver=False, **({} if self.address else here))
        except (ConnectionError, ValueError) as error:
            raise UserError(f"--address {self.address}: no Ray cluster answers there: {error}") from error
        return _Calls(ray)


class _Calls(concurrent.futures.Executor):
    def __init__(self, ray: Any) -> None:
        self._ray = ray
        self._remote = ray.remote(max_retries=0)(_call)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> concurrent.futures.Future[Any]:
        future: concurrent.futures.Future[Any] = self._remote.remote(fn, *args, **kwargs).future()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Disconnects, which ends the calls that still run."""
        self._ray.shutdown()


def _call(fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    return fn(*args, **kwargs)
