"""The contract of executors: what keeps it passes, and each breach is told by the promise that it breaks."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Callable
from typing import Any

import pytest

from dimecli.errors import UserError
from dimecli.plugin import Executor
from dimecli.testing import Contract, Finding
from dimecli.testing.executors import check_executor

RESULT = "each future gets the result of its call"
RAISES = "what a call raises reaches its future"
GOES_ON = "it goes on after a call that raises"
STOP = "stop gives back what start took, without a wait"


def findings(executor: Executor) -> list[Finding]:
    contract = Contract(asks=True)
    with contract.section():
        check_executor(contract, executor)
    return contract.findings


def broken(executor: Executor) -> set[tuple[str, str]]:
    """Where which promises are broken."""
    return {(finding.where, finding.promise) for finding in findings(executor) if finding.held is False}


class Pool(concurrent.futures.Executor):
    """Makes each call at once."""

    def __init__(self) -> None:
        self.failed = False

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> concurrent.futures.Future[Any]:
        future: concurrent.futures.Future[Any] = concurrent.futures.Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            self.failed = True
            future.set_exception(error)
        return future


class Forgetful(Pool):
    """Gives the first argument back."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> concurrent.futures.Future[Any]:
        return super().submit((lambda first, **_: first) if fn is pow else fn, *args, **kwargs)


class Hasty(Pool):
    """Gives what ends first to the call that was made first."""

    def __init__(self) -> None:
        super().__init__()
        self.threads, self.waiting = concurrent.futures.ThreadPoolExecutor(2), list[concurrent.futures.Future[Any]]()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> concurrent.futures.Future[Any]:
        future: concurrent.futures.Future[Any] = concurrent.futures.Future()
        self.waiting.append(future)
        self.threads.submit(lambda: self.tell(Pool.submit(self, fn, *args, **kwargs)))
        return future

    def tell(self, done: concurrent.futures.Future[Any]) -> None:
        future = self.waiting.pop(0)
        if error := done.exception():
            future.set_exception(error)
        else:
            future.set_result(done.result())


class Silent(Pool):
    """Loses what is raised."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> concurrent.futures.Future[Any]:
        return super().submit((lambda *_: 0) if fn is int else fn, *args, **kwargs)


class Resigned(Pool):
    """Does nothing once a call raised."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> concurrent.futures.Future[Any]:
        if self.failed:
            raise RuntimeError("broken pool")
        return super().submit(fn, *args, **kwargs)


class Unstoppable(Pool):
    """Cannot be shut down."""

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        raise RuntimeError("never")


def executor(pool: type[Pool]) -> Executor:
    """An executor of such pools."""

    class Serial(Executor):
        """Makes each call at once."""

        def start(self) -> concurrent.futures.Executor:
            return pool()

    return Serial()


def test_a_good_executor_keeps_every_promise_each_time_it_starts() -> None:
    found = findings(executor(Pool))
    assert all(finding.held for finding in found)
    assert {finding.where for finding in found} == {"", "started again"}


@pytest.mark.parametrize(
    ("pool", "promise"),
    [(Forgetful, RESULT), (Hasty, RESULT), (Silent, RAISES), (Resigned, GOES_ON), (Unstoppable, STOP)],
)
def test_a_breach_is_told_by_its_promise(pool: type[Pool], promise: str) -> None:
    assert broken(executor(pool)) == {("", promise), ("started again", promise)}


def test_an_executor_that_starts_once() -> None:
    started = []

    class Once(Executor):
        """Starts once."""

        def start(self) -> concurrent.futures.Executor:
            started.append(0)
            if len(started) > 1:
                raise RuntimeError("no more")
            return Pool()

    assert broken(Once()) == {("started again", "it starts")}


def test_one_that_says_it_ends_calls_and_waits_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dimecli.testing.executors._SECONDS", 0.2)
    monkeypatch.setattr("dimecli.testing.executors._PAUSE", 0.01)

    class Waiting(Executor):
        """Waits for calls that it says it ends."""

        kills = True

        def start(self) -> concurrent.futures.Executor:
            return concurrent.futures.ThreadPoolExecutor(1)

        def stop(self, executor: concurrent.futures.Executor) -> None:
            executor.shutdown(wait=True)

    promise = "stop ends a call that runs"
    assert broken(Waiting()) == {("", promise), ("started again", promise)}


def test_what_is_not_here_is_told_once() -> None:
    class Missing(Executor):
        """Needs a cluster."""

        def start(self) -> concurrent.futures.Executor:
            raise UserError("there is no cluster")

    (found,) = findings(Missing())
    assert (found.promise, found.held, found.reason) == ("it starts", None, "there is no cluster")
