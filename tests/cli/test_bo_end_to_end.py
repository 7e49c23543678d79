"""A search from an empty folder, and one that is killed, with nothing replaced."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Dime = Callable[..., Any]

SUMS = """%start S
%max_len 8
S -> S '+' T | S '*' T | T
T -> 'sin(' S ')' | 'x' | '1'
"""

SLOW = '''
import os, time

def slow(sentence):
    """Notes every call before it takes its time."""
    file = os.open("calls.txt", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, f"{sentence}\\n".encode())
    os.close(file)
    time.sleep(0.05)
    return sentence.count("x") / len(sentence)
'''


def evaluations(folder: Path) -> list[tuple[Any, ...]]:
    lines = [json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines()]
    return sorted(tuple(line[key] for key in ("round", "index", "sentence", "value", "mean")) for line in lines)


@pytest.mark.slow
def test_from_an_empty_folder(dime: Dime, tmp_path: Path) -> None:
    (tmp_path / "sums.cfg").write_text(SUMS)
    words = ("--grammar", "sums.cfg", "--rounds", "2", "--batch", "5", "--initial", "20", "--device", "cpu")
    ran = dime("bo", *words)
    assert ran.code == 0, ran.err
    command = "dime train --grammar sums.cfg --latent-size 32"
    assert ran.err.startswith(f"No run of grammar 'sums.cfg' in runs, so one is trained first: {command}\n")
    assert "simplified" in ran.out.splitlines()[0]
    (run,) = Path("runs").iterdir()
    assert (run / "bo" / "001-bo" / "best-so-far.png").stat().st_size > 0
    again = dime("bo", *words, "--search", "evolve", "--json")
    assert again.json["run"] == run.name, "it is trained once"
    trained = dime("runs", "--json").json
    assert [row["objective"] for row in trained] == ["dime"]


@pytest.mark.slow
@pytest.mark.parametrize("executor", ["serial", "processes"])
def test_a_search_that_is_killed_repeats_no_call_and_chooses_the_same(
    dime: Dime, tmp_path: Path, executor: str
) -> None:
    (tmp_path / "slow.py").write_text(SLOW)
    trained = dime(
        "train", "dime", "--grammar", "expressions", "--size", "400", "--max-steps", "100", "--device", "cpu"
    )
    assert trained.code == 0, trained.err
    calls = tmp_path / "calls.txt"
    words = ["bo", "--problem", "slow.py:slow", "--executor", executor, "--rounds", "3", "--batch", "8"]
    words += ["--initial", "20", "--device", "cpu", "--threads", "1", "--quiet"]

    assert dime(*words).code == 0
    (run,) = Path("runs").iterdir()
    whole = evaluations(run / "bo" / "001-bo")
    assert sorted(calls.read_text().splitlines()) == sorted(row[2] for row in whole)

    calls.write_text("")
    killed = run / "bo" / "002-bo" / "results.jsonl"
    searching = subprocess.Popen([sys.executable, "-m", "dimecli", *words], cwd=tmp_path, start_new_session=True)
    while not (killed.exists() and killed.read_text().count("\n") >= 31):
        assert searching.poll() is None
        time.sleep(0.01)
    os.kill(searching.pid, signal.SIGKILL)
    searching.wait()
    time.sleep(1.5)  # workers end with their parent
    logged = killed.read_text().count("\n")
    assert logged < len(whole)
    under_way = len(calls.read_text().splitlines()) - logged
    refused = dime("bo", "--resume", "--quiet")
    assert refused.code == 2
    assert f"say again --problem python --function {tmp_path / 'slow.py'}:slow" in refused.err
    resumed = dime("bo", "--resume", "--problem", "slow.py:slow", "--quiet")
    assert (resumed.code, resumed.err) == (0, "")
    assert evaluations(killed.parent) == whole
    assert len(calls.read_text().splitlines()) == len(whole) + under_way, "what was logged is not called again"
    assert under_way <= 16
