"""Nothing that a user's function does loses more than its own evaluation."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, CancelledError, Future
from concurrent.futures import Executor as Pool
from pathlib import Path
from typing import Any

import pytest

from dimecli.errors import DimeError, UserError
from dimecli.plugin import Executor, Language, Outcome, Problem
from dimecli.registry import make
from dimecli.search.oracle import Oracle
from dimecli_plugins.executors.processes import Processes

GOOD = [f"x{'+x' * extra}" for extra in range(20)]
FUNCTION = """
    import os, signal, subprocess, sys, time

    def f(sentence):
        with open(__file__ + ".pids", "a") as file:
            file.write(f"{os.getpid()} ")
        match sentence:
            case "raise": raise ValueError("no good")
            case "exit": sys.exit(3)
            case "interrupt": raise KeyboardInterrupt
            case "nan": return float("nan")
            case "none": return None
            case "text": return "1.0"
            case "print":
                print("noise", flush=True)
                print("late", file=sys.__stdout__)
                os.system("echo more")
                return 1.0
            case "hang and start":
                child = subprocess.Popen(["sleep", "1000"])
                with open(__file__ + ".pids", "a") as file:
                    file.write(f"{child.pid} ")
                time.sleep(1000)
            case "die": os.kill(os.getpid(), signal.SIGKILL)
            case _ if sentence.startswith("hang"): time.sleep(1000)
            case "deaf":
                while True:
                    try: time.sleep(1000)
                    except BaseException: pass
        return float(len(sentence))
"""
REASONS = {
    "raise": "ValueError: no good",
    "exit": "SystemExit: 3",
    "nan": "returned nan, not a finite number",
    "none": "returned None, not a finite number",
    "text": "returned '1.0', not a finite number",
    "hang": "took longer than 1 s",
}


@pytest.fixture
def language() -> Language:
    return make("grammar", "expressions")  # type: ignore[no-any-return]


@pytest.fixture
def problem(tmp_path: Path) -> Problem:
    """A function with every fault, in a file."""
    (tmp_path / "trouble.py").write_text(textwrap.dedent(FUNCTION))
    return make("problem", "python", function=f"{tmp_path / 'trouble.py'}:f")  # type: ignore[no-any-return]


class _Brisk(Processes):
    """Processes that are given up sooner."""

    grace = 3.0


EXECUTORS: dict[str, Callable[[], Executor]] = {
    "serial": lambda: make("executor", "serial"),
    "threads": lambda: make("executor", "threads", workers=2),
    "processes": lambda: _Brisk(workers=2),
}


def _outcomes(oracle: Oracle, sentences: Sequence[str]) -> dict[str, Outcome]:
    """The outcome of each sentence, every one of which comes exactly once."""
    results = list(oracle.evaluate(sentences))
    assert sorted(index for index, _, _ in results) == list(range(len(sentences)))
    assert all(seconds >= 0 for _, _, seconds in results)
    return {sentences[index]: outcome for index, outcome, _ in results}


@pytest.mark.parametrize("name", EXECUTORS)
def test_only_the_culprit_is_lost(name: str, problem: Problem, language: Language) -> None:
    reasons = dict(REASONS)
    if name != "serial":
        reasons["interrupt"] = "KeyboardInterrupt"
    if name == "threads":  # more than there are workers
        reasons |= {"hang 2": reasons["hang"], "hang 3": reasons["hang"]}
    if name == "processes":
        reasons |= {"die": "its worker died", "deaf": reasons["hang"]}
    bad = list(reasons)
    sentences = [*GOOD[:5], *bad[::2], *GOOD[5:12], *bad[1::2], *GOOD[12:]]
    with Oracle(problem, language, EXECUTORS[name](), 1.0) as oracle:
        outcomes = _outcomes(oracle, sentences)
    assert {sentence: outcomes[sentence].reason for sentence in bad} == reasons
    assert all(outcomes[sentence].value is None for sentence in bad)
    assert [outcomes[sentence] for sentence in GOOD] == [Outcome(len(sentence)) for sentence in GOOD]


@pytest.mark.parametrize("name", EXECUTORS)
def test_what_is_printed_goes_to_stderr(
    name: str, problem: Problem, language: Language, capfd: pytest.CaptureFixture[str]
) -> None:
    print("before", flush=True)
    with Oracle(problem, language, EXECUTORS[name](), 60.0) as oracle:
        assert _outcomes(oracle, ["print"]) == {"print": Outcome(1.0)}
    print("after", flush=True)
    out, err = capfd.readouterr()
    assert out == "before\nafter\n"
    assert "noise" in err
    assert "more" in err


def test_ctrl_c_in_this_thread_stops_the_search(problem: Problem, language: Language) -> None:
    with (
        Oracle(problem, language, make("executor", "serial"), 60.0) as oracle,
        pytest.raises(KeyboardInterrupt),
    ):
        list(oracle.evaluate(["interrupt"]))


PROGRAM = """
    import signal
    import sys
    from dimecli.registry import make
    from dimecli.search.oracle import Oracle

    signal.signal(signal.SIGINT, signal.default_int_handler)  # background jobs of a shell are deaf to it
    problem = make("problem", "python", function=sys.argv[2])
    executor = make("executor", sys.argv[1], workers=2)
    with Oracle(problem, make("grammar", "expressions"), executor, float(sys.argv[3])) as oracle:
        list(oracle.evaluate(sys.argv[4:]))
"""


def _program(executor: str, function: str, timeout: float, *sentences: str) -> subprocess.Popen[bytes]:
    words = [sys.executable, "-c", textwrap.dedent(PROGRAM), executor, function, str(timeout), *sentences]
    return subprocess.Popen(words, stderr=subprocess.DEVNULL, start_new_session=True)


def _until(holds: Callable[[], bool]) -> bool:
    """Whether it comes to hold within a minute."""
    end = time.monotonic() + 60
    while not holds() and time.monotonic() < end:
        time.sleep(0.05)
    return holds()


def _alive(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    try:
        return stat.read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at processes as Linux shows them")
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGKILL])
def test_a_search_that_is_stopped_leaves_no_process(sent: signal.Signals, problem: Any, tmp_path: Path) -> None:
    program = _program("processes", problem.function, 1000.0, "hang and start", "hang and start")
    pids = tmp_path / "trouble.py.pids"
    try:
        assert _until(lambda: pids.exists() and len(pids.read_text().split()) == 4)
        os.killpg(program.pid, sent) if sent == signal.SIGINT else program.kill()
        assert program.wait(60) != 0
        assert _until(lambda: not any(_alive(int(pid)) for pid in pids.read_text().split()))
    finally:
        program.kill()
        program.wait()


def test_a_thread_that_hangs_keeps_nothing_from_exiting(problem: Any) -> None:
    assert _program("threads", problem.function, 0.2, "hang 1", "x", "hang 2").wait(60) == 0


class _Echo(Problem):
    """Says what arrived."""

    scale: float = 1.0

    def evaluate(self, sentences: Sequence[str], language: Language) -> list[float]:
        return [self.scale * language.compile().max_len for _ in sentences]


@pytest.mark.parametrize("name", EXECUTORS)
def test_options_of_problem_and_grammar_arrive(name: str) -> None:
    language = make("grammar", "expressions", max_length=9)
    with Oracle(_Echo(scale=0.5), language, EXECUTORS[name](), 60.0) as oracle:
        assert _outcomes(oracle, ["x"]) == {"x": Outcome(4.5)}


@pytest.mark.parametrize("name", EXECUTORS)
def test_a_problem_that_cannot_be_evaluated_there_is_told_at_once(name: str, language: Language) -> None:
    missing = make("problem", "python", function="/nowhere/missing.py:f")
    with pytest.raises(UserError, match=r"missing\.py"), Oracle(missing, language, EXECUTORS[name](), 60.0):
        pass


def test_a_timeout_that_cannot_be_kept_is_refused(language: Language) -> None:
    raised: list[BaseException] = []

    def work() -> None:
        try:
            with Oracle(_Echo(), language, make("executor", "serial"), 60.0):
                pass
        except UserError as error:
            raised.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert "--timeout 60" in str(raised[0])


class _Cheap(Problem):
    """A formula, and one sentence that it cannot take."""

    cheap = True

    def evaluate(self, sentences: Sequence[str], language: Language) -> list[float]:
        _CALLS.append(list(sentences))
        if "bad" in sentences:
            raise ZeroDivisionError("of bad")
        return [float(len(sentence)) for sentence in sentences]


_CALLS: list[list[str]] = []


class _Never(Executor):
    """An executor that nobody may start."""

    def start(self) -> Pool:
        raise AssertionError


def test_a_cheap_problem_gets_all_sentences_at_once_and_here(language: Language) -> None:
    _CALLS.clear()
    with Oracle(_Cheap(), language, _Never(), 60.0) as oracle:
        assert _outcomes(oracle, GOOD) == {sentence: Outcome(len(sentence)) for sentence in GOOD}
        assert _CALLS == [GOOD]
        outcomes = _outcomes(oracle, [*GOOD, "bad"])
        assert list(oracle.evaluate([])) == []
    assert outcomes.pop("bad") == Outcome(None, "ZeroDivisionError: of bad")
    assert outcomes == {sentence: Outcome(len(sentence)) for sentence in GOOD}


class _Pool(Pool):
    """Answers only when asked to, as a test says; counts what is in flight."""

    def __init__(self, answer: Callable[[dict[str, Future[Any]]], None]) -> None:
        self.answer = answer
        self.flying: dict[str, Future[Any]] = {}
        self.most = 0
        self.lock = threading.Lock()

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        if not args:  # the check
            future.set_result(None)
            return future
        with self.lock:
            if any(isinstance(sent.exception(), BrokenExecutor) for sent in self.flying.values() if _answered(sent)):
                raise BrokenExecutor
            self.flying = {sentence: sent for sentence, sent in self.flying.items() if not sent.done()}
            self.flying[args[0]] = future
            self.most = max(self.most, len(self.flying))
        threading.Timer(0.02, self.tick).start()
        return future

    def tick(self) -> None:
        with self.lock:
            flying = {sentence: sent for sentence, sent in self.flying.items() if not sent.done()}
            if flying:
                self.answer(flying)


def _answered(future: Future[Any]) -> bool:
    return future.done() and not future.cancelled()


class _Scripted(Executor):
    """Gives pools that answer by a script."""

    def start(self) -> Pool:
        pool = _Pool(_SCRIPT[0])
        _POOLS.append(pool)
        return pool


_SCRIPT: list[Callable[[dict[str, Future[Any]]], None]] = []
_POOLS: list[_Pool] = []


@pytest.fixture
def scripted() -> Iterator[Callable[[Callable[[dict[str, Future[Any]]], None]], Executor]]:
    """Gives an executor with three workers whose calls in flight are answered by that function."""

    def give(answer: Callable[[dict[str, Future[Any]]], None]) -> Executor:
        _SCRIPT.append(answer)
        return _Scripted(workers=3)

    yield give
    for kept in (_SCRIPT, _POOLS):
        kept.clear()


def test_suspects_are_tried_alone_after_a_worker_died(scripted: Any, language: Language) -> None:
    deaths: list[set[str]] = []

    def answer(flying: dict[str, Future[Any]]) -> None:
        broken = "bad" in flying or ("x+x" in flying and not deaths)  # one is killed from outside, once
        if broken:
            deaths.append(set(flying))
        for sentence, future in flying.items():
            if broken:
                future.set_exception(BrokenExecutor("worker died"))
            else:
                future.set_result((Outcome(len(sentence)), 0.0))

    with Oracle(_Echo(), language, scripted(answer), None) as oracle:
        outcomes = _outcomes(oracle, [*GOOD[:10], "bad", *GOOD[10:]])
    assert outcomes.pop("bad") == Outcome(None, "its worker died")
    assert outcomes == {sentence: Outcome(len(sentence)) for sentence in GOOD}
    assert {"bad"} in deaths
    assert max(pool.most for pool in _POOLS) == 3


def test_a_call_that_dies_first_in_a_new_pool_costs_the_next_one_nothing(scripted: Any, language: Language) -> None:
    def answer(flying: dict[str, Future[Any]]) -> None:
        for sentence, future in flying.items():
            if "bad" in flying:
                future.set_exception(BrokenExecutor("worker died"))
            else:
                future.set_result((Outcome(len(sentence)), 0.0))

    with Oracle(_Echo(), language, scripted(answer), None) as oracle:
        outcomes = _outcomes(oracle, ["bad", "x", "x+x"])
    assert outcomes == {"bad": Outcome(None, "its worker died"), "x": Outcome(1.0), "x+x": Outcome(3.0)}
    assert len(_POOLS) == 3


def test_a_failing_executor_is_no_fault_of_the_sentences(scripted: Any, language: Language) -> None:
    def cancel(flying: dict[str, Future[Any]]) -> None:
        for future in flying.values():
            future.set_exception(CancelledError())

    with (
        Oracle(_Echo(), language, scripted(cancel), None) as oracle,
        pytest.raises(DimeError, match="executor _Scripted fails: CancelledError"),
    ):
        list(oracle.evaluate(GOOD))


def test_who_stops_listening_may_ask_again(problem: Problem, language: Language) -> None:
    with Oracle(problem, language, make("executor", "threads", workers=3), 60.0) as oracle:
        first = oracle.evaluate(["hang", *GOOD])
        assert next(first)[1].value is not None  # what is ready comes first
        first.close()  # type: ignore[attr-defined]
        assert len(_outcomes(oracle, GOOD)) == len(GOOD)
