"""What executors promise to do."""

from __future__ import annotations

import time

from dimecli.plugin import Executor
from dimecli.testing.expect import expect

_SECONDS = 60
"""For a call to come back, which may start a process on the way, and that a call takes which is not waited for."""


def check_executor(executor: Executor, where: str) -> None:
    """Makes calls, some of which fail, stops, and starts again; stops while a call runs if that ends it.

    Raises:
        AssertionError: something does not hold; the message says what, and the cure.
        UserError: what the executor needs is not here.
    """
    for _ in range(2):
        pool = executor.start()
        try:
            calls = [pool.submit(pow, base, exp=2) for base in range(executor.workers + 2)]
            results = [call.result(_SECONDS) for call in calls]
            right = results == [base**2 for base in range(len(calls))]
            expect(right, f"{where}: calls give {results}", "give each future the result of its call")
            error = pool.submit(int, "no number").exception(_SECONDS)
            expect(error, f"{where}: what a call raises is lost", "give it to the future")
            expect(pool.submit(abs, -1).result(_SECONDS) == 1, f"{where}: no call after one that raises", "go on")
            if executor.kills:
                pool.submit(time.sleep, _SECONDS)
        finally:
            start = time.monotonic()
            executor.stop(pool)
        waited = time.monotonic() - start
        expect(
            waited < _SECONDS / 2, f"{where}: stop waits {waited:.0f} s for a call", "end it, or leave `kills` False"
        )
