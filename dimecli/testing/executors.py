"""What executors promise to do."""

from __future__ import annotations

import concurrent.futures
import math
import time

from dimecli.plugin import Executor
from dimecli.testing.contract import Contract
from dimecli.testing.expect import expect

_SECONDS = 60
"""For a call to come back, which may start a process on the way, and that a call takes which is not waited for."""


_PAUSE = 0.2  # seconds


def check_executor(contract: Contract, executor: Executor) -> None:
    """Makes calls, some of which fail, stops, and starts again; stops while a call runs if that ends it."""
    _check_once(contract, executor)
    with contract.section("started again"):
        _check_once(contract, executor)


def _check_once(contract: Contract, executor: Executor) -> None:
    with contract.needed("it starts"):
        pool = executor.start()
    try:
        _check_calls(contract, executor, pool)
    finally:
        _check_stop(contract, executor, pool)


def _check_calls(contract: Contract, executor: Executor, pool: concurrent.futures.Executor) -> None:
    patience = None if math.isinf(executor.grace) else max(_SECONDS, executor.grace)
    with contract.promise("each future gets the result of its call"):
        calls = [pool.submit(pow, base, exp=2) for base in range(executor.workers + 2)]
        results = [call.result(patience) for call in calls]
        right = results == [base**2 for base in range(len(calls))]
        expect(right, f"calls give {results}", "give each future the result of its call")
        slow, quick = pool.submit(_after, _PAUSE, "slow"), pool.submit(_after, 0.0, "quick")  # which may end first
        told = [slow.result(patience), quick.result(patience)]
        expect(told == ["slow", "quick"], f"a slow and a quick call give {told}", "mind which call each result is of")
    with contract.promise("what a call raises reaches its future"):
        error = pool.submit(int, "no number").exception(patience)
        expect(isinstance(error, ValueError), f"int('no number') raises {error!r}", "give the future what was raised")
    with contract.promise("it goes on after a call that raises"):
        result = pool.submit(abs, -1).result(patience)
        expect(result == 1, f"abs(-1) gives {result!r}", "go on")


def _after(seconds: float, result: str) -> str:
    time.sleep(seconds)
    return result


def _check_stop(contract: Contract, executor: Executor, pool: concurrent.futures.Executor) -> None:
    title = "stop ends a call that runs" if executor.kills else "stop gives back what start took, without a wait"
    with contract.promise(title):
        if executor.kills:
            pool.submit(time.sleep, _SECONDS)
        start = time.monotonic()
        executor.stop(pool)
        waited = time.monotonic() - start
        expect(waited < _SECONDS / 2, f"stop waits {waited:.0f} s for a call", "end it, or leave `kills` False")
