"""Where sentences are evaluated: nothing that the user's function does loses more than its own evaluation."""

from __future__ import annotations

import math
import os
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, Future, wait
from concurrent.futures import Executor as Pool
from contextlib import ExitStack, contextmanager, redirect_stdout
from dataclasses import dataclass
from types import TracebackType
from typing import Self, TypeVar

from dimecli.blame import blamed
from dimecli.errors import DimeError, UserError
from dimecli.plugin import Executor, Language, Outcome, Problem
from dimecli.search.call import Call, evaluate, failure, outcome_of

__all__ = ["Oracle", "outcome_of"]

_T = TypeVar("_T")
_Answer = Future[tuple[Outcome, float]]


@dataclass(frozen=True)
class _Sent:
    index: int
    sentence: str
    since: float  # of time.monotonic()
    pool: Pool | None


class Oracle:
    """Evaluates sentences by the problem, where the executor says.

    A problem that is `cheap` is evaluated in this process, all sentences at once and without a timeout,
    whatever the executor. Any other gets a call for each sentence.

    A context manager. While it is open, stdout is stderr, here and in the processes that it starts, so
    that what the user's function prints stays apart from what the command line writes.

    Args:
        timeout: Seconds that a call may take, None for any time. They are measured where it runs, and a
            main thread ends it there. What goes on is killed if the executor can, else left alone: its
            worker is lost while it runs.

    Raises:
        UserError: on entering: the problem cannot be evaluated where the executor runs, or the timeout
            cannot be kept there.
        DimeError: on entering: no call comes back.
    """

    def __init__(self, problem: Problem, language: Language, executor: Executor, timeout: float | None) -> None:
        self._call = Call(problem, language, timeout)
        self._executor = executor
        self._limit = math.inf if timeout is None else timeout + executor.grace
        self._pool: Pool | None = None
        self._flying: dict[_Answer, _Sent] = {}
        self._lost: set[_Answer] = set()  # nobody waits for them, but they may still run
        self._open = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(_stdout_is_stderr())
            if not self._call.problem.cheap:
                stack.callback(self._stop)
                self._check()
            self._open = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def evaluate(self, sentences: Sequence[str]) -> Iterator[tuple[int, Outcome, float]]:
        """The index of each sentence, its outcome and the seconds it took, as they arrive, in any order.

        Calls that were lost, because one of them killed its worker or the machine did, are made again
        one at a time, so that only the culprit is invalid.

        Raises:
            DimeError: the executor fails, not a call.
        """
        if self._call.problem.cheap:
            yield from self._together(sentences)
            return
        suspects = []
        for index, outcome, seconds in self._apart(enumerate(sentences), self._executor.workers):
            if isinstance(outcome, Outcome):
                yield index, outcome, seconds
            else:
                suspects.append(index)
        for index, outcome, seconds in self._apart([(index, sentences[index]) for index in sorted(suspects)], 1):
            yield index, outcome if isinstance(outcome, Outcome) else _died(outcome), seconds

    def _together(self, sentences: Sequence[str]) -> Iterator[tuple[int, Outcome, float]]:
        start = time.perf_counter()
        try:
            outcomes = evaluate(self._call.problem, sentences, self._call.language)
        except (Exception, SystemExit):  # because of some of them: alone, each tells for itself
            for index, sentence in enumerate(sentences):
                yield index, *self._call(sentence)
            return
        seconds = (time.perf_counter() - start) / max(1, len(outcomes))
        for index, outcome in enumerate(outcomes):
            yield index, outcome, seconds

    def _apart(
        self, calls: Iterable[tuple[int, str]], at_once: int
    ) -> Iterator[tuple[int, Outcome | Exception, float]]:
        """The outcome of each call, as it arrives, or with what it was lost."""
        waiting = deque(calls)
        try:
            while waiting or self._flying:
                self._send(waiting, at_once)
                for answer in wait(self._flying, self._patience(), FIRST_COMPLETED).done:
                    yield self._received(answer)
                for sent in self._overdue(waiting):
                    yield sent.index, self._call.too_long, time.monotonic() - sent.since
        finally:
            self._lost.update(self._flying)
            self._flying.clear()

    def _send(self, waiting: deque[tuple[int, str]], at_once: int) -> None:
        """Makes as many calls as there are free workers."""
        self._lost = {answer for answer in self._lost if not answer.done()}
        workers = min(at_once, self._executor.workers - len(self._lost))
        if not workers:  # every one is stuck: start with new ones
            self._stop()
            workers = at_once
        while waiting and len(self._flying) < workers:
            index, sentence = waiting.popleft()
            since = time.monotonic()
            answer = self._submit(self._call, sentence)  # may start the pool
            self._flying[answer] = _Sent(index, sentence, since, self._pool)

    def _submit(self, work: Callable[..., _T], *arguments: object) -> Future[_T]:
        if self._pool is None:
            self._pool = self._executor.start()
        try:
            return self._pool.submit(work, *arguments)
        except BrokenExecutor as error:  # a worker died before: the same as if it died of this call
            failed: Future[_T] = Future()
            failed.set_exception(error)
            return failed
        except Exception as error:
            raise self._failure(error) from error

    def _received(self, answer: _Answer) -> tuple[int, Outcome | Exception, float]:
        sent = self._flying.pop(answer)
        try:
            return sent.index, *answer.result()
        except CancelledError as error:  # by nobody here: the scheduler is gone
            raise self._failure(error) from error
        except Exception as error:  # the call itself raises nothing
            if isinstance(error, BrokenExecutor) and sent.pool is self._pool:
                self._stop()
            return sent.index, error, time.monotonic() - sent.since

    def _patience(self) -> float | None:
        """Seconds until the first call is overdue."""
        due = self._limit + min(sent.since for sent in self._flying.values())
        return max(0.0, due - time.monotonic()) if math.isfinite(due) else None

    def _overdue(self, waiting: deque[tuple[int, str]]) -> list[_Sent]:
        """Gives up calls that do not come back; if they are killed, the others with them are waiting again."""
        latest = time.monotonic() - self._limit
        running = {answer: sent for answer, sent in self._flying.items() if not answer.done()}
        overdue = {answer: sent for answer, sent in running.items() if sent.since <= latest}
        if overdue and self._executor.kills:
            waiting.extendleft((sent.index, sent.sentence) for sent in running.values() if sent.since > latest)
            self._forget(running)
            self._stop()
        else:
            self._forget(overdue)
            self._lost.update(overdue)
        return list(overdue.values())

    def _forget(self, answers: Iterable[_Answer]) -> None:
        for answer in answers:
            del self._flying[answer]

    def _check(self) -> None:
        try:
            complaint = self._submit(self._call.check).result()
        except DimeError:
            raise
        except Exception as error:
            raise self._failure(error) from error
        if complaint is not None:
            raise UserError(complaint)

    def _stop(self) -> None:
        pool, self._pool = self._pool, None
        self._lost.clear()
        if pool is not None:
            self._executor.stop(pool)

    def _failure(self, error: BaseException) -> DimeError:
        return blamed(error) or DimeError(f"executor {type(self._executor).__name__} fails: {failure(error).reason}")


def _died(error: Exception) -> Outcome:
    died = isinstance(error, BrokenExecutor)
    return Outcome(None, "its worker died" if died else f"the executor lost it: {type(error).__name__}")


@contextmanager
def _stdout_is_stderr() -> Iterator[None]:
    """Both what Python prints and the file descriptor, which C libraries and other processes write to."""
    with redirect_stdout(sys.stderr), ExitStack() as stack:
        if sys.__stdout__ is not None and sys.__stderr__ is not None:  # there are such descriptors
            sys.__stdout__.flush()
            saved = os.dup(1)
            stack.callback(os.close, saved)
            stack.callback(os.dup2, saved, 1)
            os.dup2(2, 1)
            stack.callback(sys.__stdout__.flush)
        yield
