"""Executors beyond what `check_plugin` tries: clusters, with real workers or with a stand-in for the library."""

from __future__ import annotations

import concurrent.futures
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dimecli.errors import DimeError, UserError
from dimecli.plugin import Executor, Language, Outcome, Problem
from dimecli.registry import make
from dimecli.search.oracle import Oracle
from dimecli_plugins.executors import dask
from dimecli_plugins.executors.processes import Processes


def test_numerical_libraries_share_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dimecli_plugins.executors.processes.physical_cores", lambda: 6)
    executor = Processes(workers=2)
    pool = executor.start()
    try:
        assert pool.submit(os.getenv, "OMP_NUM_THREADS").result(60) == "3"
    finally:
        executor.stop(pool)


@pytest.mark.parametrize("name", ["dask", "ray", "slurm"])
def test_what_is_not_installed_is_told(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("distributed", "ray", "submitit"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UserError, match=rf"--executor {name}.*pip install 'dimecli\[{name}\]'"):
        make("executor", name).start()


def test_calls_that_wait_for_a_thread_are_cancelled_with_it() -> None:
    executor, go = make("executor", "threads", workers=1), threading.Event()
    pool = executor.start()
    running, waiting = pool.submit(go.wait, 60), pool.submit(int)
    while not running.running():
        time.sleep(0.01)
    executor.stop(pool)
    assert waiting.cancelled()
    go.set()
    assert running.result(60) is True


class _Job:
    """A job of submitit, in a thread."""

    def __init__(self, work: Any) -> None:
        self.cancelled = threading.Event()
        self._pool = concurrent.futures.ThreadPoolExecutor(1)
        self._future = self._pool.submit(work)

    def result(self) -> Any:
        while not self._future.done():
            if self.cancelled.wait(0.01):
                raise RuntimeError("cancelled")
        return self._future.result()

    def cancel(self) -> None:
        self.cancelled.set()


def _submitit(parameters: dict[str, Any]) -> SimpleNamespace:
    class AutoExecutor:
        def __init__(self, folder: Path, cluster: str) -> None:
            parameters.update(folder=folder, cluster=cluster)

        def update_parameters(self, **given: Any) -> None:
            parameters.update(given)

        def submit(self, work: Any) -> _Job:
            parameters.setdefault("jobs", []).append(job := _Job(work))
            return job

    return SimpleNamespace(AutoExecutor=AutoExecutor)


def test_slurm_gets_a_job_for_each_call(monkeypatch: pytest.MonkeyPatch) -> None:
    parameters: dict[str, Any] = {}
    monkeypatch.setitem(sys.modules, "submitit", _submitit(parameters))
    executor = make("executor", "slurm", workers=2, partition="long", minutes=7)
    pool = executor.start()
    assert [pool.submit(pow, 2, exp).result(60) for exp in range(3)] == [1, 2, 4]
    assert isinstance(pool.submit(int, "x").exception(60), ValueError)
    hanging = pool.submit(time.sleep, 1)
    while len(parameters["jobs"]) < 5:
        time.sleep(0.01)
    executor.stop(pool)
    assert isinstance(hanging.exception(60), RuntimeError)
    assert [job.cancelled.is_set() for job in parameters["jobs"]] == [False] * 4 + [True]
    assert (parameters["cluster"], parameters["slurm_partition"], parameters["timeout_min"]) == ("slurm", "long", 7)


def test_no_job_of_slurm_is_left_that_was_being_submitted(monkeypatch: pytest.MonkeyPatch) -> None:
    parameters: dict[str, Any] = {}
    module, begun, go = _submitit(parameters), threading.Event(), threading.Event()
    submit = module.AutoExecutor.submit

    def slow(self: Any, work: Any) -> Any:
        begun.set()
        go.wait(60)
        return submit(self, work)

    monkeypatch.setattr(module.AutoExecutor, "submit", slow)
    monkeypatch.setitem(sys.modules, "submitit", module)
    executor = make("executor", "slurm", workers=2)
    pool = executor.start()
    calls = [pool.submit(time.sleep, 1) for _ in range(2)]
    assert begun.wait(60)
    threading.Timer(0.1, go.set).start()
    executor.stop(pool)
    assert [job.cancelled.is_set() for job in parameters["jobs"]] == [True] * len(parameters["jobs"])
    assert all(call.cancelled() or call.exception(60) for call in calls)


def _ray(told: dict[str, Any]) -> SimpleNamespace:
    threads = concurrent.futures.ThreadPoolExecutor(2)

    def remote(**options: Any) -> Any:
        told.update(options)

        def send(work: Any) -> Any:
            def call(*args: Any, **kwargs: Any) -> Any:
                return SimpleNamespace(future=lambda: threads.submit(work, *args, **kwargs))

            return SimpleNamespace(remote=call)

        return send

    return SimpleNamespace(init=lambda **given: told.update(given), remote=remote, shutdown=threads.shutdown)


def test_ray_is_started_here_or_found_there(monkeypatch: pytest.MonkeyPatch) -> None:
    for address in (None, "ray://head:10001"):
        told: dict[str, Any] = {}
        monkeypatch.setitem(sys.modules, "ray", _ray(told))
        executor = make("executor", "ray", workers=2, address=address)
        pool = executor.start()
        assert pool.submit(pow, 2, exp=3).result(60) == 8
        assert isinstance(pool.submit(int, "x").exception(60), ValueError)
        executor.stop(pool)
        assert told["address"] == (address or "local")
        assert told.get("num_cpus") == (None if address else 2)
        assert told["max_retries"] == 0


@pytest.mark.parametrize("address", ["tcp://10.1.2.3:8786", "head:8786"])
def test_a_scheduler_that_anyone_can_use_is_warned_of(address: str) -> None:
    with pytest.warns(UserWarning, match="anyone who reaches it can run code"):
        dask._warn_if_open(address)


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:8786", "localhost:8786", "tcp://[::1]:8786", "tls://10.1.2.3:1"])
def test_one_on_this_machine_or_with_tls_is_not(address: str) -> None:
    dask._warn_if_open(address)


class _Slow(Problem):
    """Takes a while, or kills its worker."""

    def evaluate(self, sentences: Sequence[str], language: Language) -> list[float]:
        time.sleep(0.1)
        if sentences[0] == "die":
            os._exit(1)
        return [float(len(sentences[0]))]


def _dask(*words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "dask", *words, "--host", "127.0.0.1", "--no-dashboard"]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": _HERE})


_HERE = str(Path(__file__).parent)


@pytest.fixture
def cluster() -> Iterator[tuple[str, list[subprocess.Popen[str]]]]:
    """The address of a scheduler on loopback, and its process and those of two workers."""
    processes = [_dask("scheduler", "--port", "0")]
    try:
        assert processes[0].stderr is not None
        address = next(line.split()[-1] for line in processes[0].stderr if "Scheduler at:" in line)
        processes += [_dask("worker", address, "--no-nanny", "--nthreads", "1") for _ in range(2)]
        yield address, processes
    finally:
        for process in processes:
            process.kill()
            process.communicate()


GOOD = ["x" * length for length in range(1, 21)]


@pytest.mark.slow
def test_a_killed_worker_of_a_dask_cluster_costs_nothing(cluster: Any, language: Language) -> None:
    address, (_, worker, _) = cluster
    found = {}
    with Oracle(_Slow(), language, make("executor", "dask", scheduler=address, workers=2), 60.0) as oracle:
        for index, outcome, _ in oracle.evaluate(GOOD):
            found[GOOD[index]] = outcome
            if len(found) == 4:
                worker.kill()
    assert found == {sentence: Outcome(len(sentence)) for sentence in GOOD}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_scheduler_that_dies_ends_the_search(cluster: Any, language: Language) -> None:
    address, (scheduler, *_) = cluster
    with Oracle(_Slow(), language, make("executor", "dask", scheduler=address, workers=2), 60.0) as oracle:
        results = oracle.evaluate(GOOD)
        next(results)
        scheduler.kill()
        with pytest.raises(DimeError, match="executor Dask fails"):
            list(results)


@pytest.mark.slow
def test_a_call_that_kills_its_worker_of_dask_is_lost_alone(language: Language) -> None:
    executor: Executor = make("executor", "dask", workers=2)
    sentences = [*GOOD[:7], "die", *GOOD[7:]]
    with Oracle(_Slow(), language, executor, 60.0) as oracle:
        found = {sentences[index]: outcome for index, outcome, _ in oracle.evaluate(sentences)}
    assert found.pop("die") == Outcome(None, "the executor lost it: KilledWorker")
    assert found == {sentence: Outcome(len(sentence)) for sentence in GOOD}


@pytest.mark.slow
def test_a_dask_cluster_without_a_free_worker_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dask, "_SECONDS", 3)
    scheduler = _dask("scheduler", "--port", "0")
    try:
        assert scheduler.stderr is not None
        address = next(line.split()[-1] for line in scheduler.stderr if "Scheduler at:" in line)
        with pytest.raises(DimeError, match="no worker is free"):
            make("executor", "dask", scheduler=address).start()
    finally:
        scheduler.kill()
        scheduler.communicate()
    with pytest.raises(UserError, match="no Dask scheduler answers"):
        make("executor", "dask", scheduler=address).start()


@pytest.fixture
def language() -> Language:
    return make("grammar", "expressions")  # type: ignore[no-any-return]
