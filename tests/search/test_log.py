"""The log of a search: what is written is read again, cut or damaged, and a search goes on from it."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from host_fakes import Calls, Circle, Climb, Fixed, Wave
from hypothesis import HealthCheck, given
from hypothesis import settings as how
from hypothesis import strategies as st

from dimecli.errors import DimeError
from dimecli.plugin import Outcome
from dimecli.search.log import Log
from dimecli.search.loop import Observer, search
from dimecli.search.result import Evaluation, Result
from dimecli.search.settings import SearchSettings

SETTINGS = SearchSettings(rounds=3, batch=6, initial=5, seed=3)
FINITE = st.floats(allow_nan=False, allow_infinity=False)
MAYBE = st.none() | FINITE
EVALUATIONS = st.builds(
    Evaluation,
    round=st.integers(0, 9),
    index=st.integers(0, 99),
    sentence=st.text(st.characters(codec="utf-8")),
    value=MAYBE,
    reason=st.text(st.characters(codec="utf-8")),
    seconds=MAYBE,
    code=st.lists(FINITE, max_size=3).map(tuple),
    mean=MAYBE,
    std=MAYBE,
    proposals=st.integers(0, 99),
    incomplete=st.integers(0, 99),
)


def run(log: Log | None, oracle: Any, problem: Wave | None = None, settings: SearchSettings = SETTINGS) -> Result:
    return search(Circle(), oracle, problem or Wave(thrifty=False), Climb(), settings, log)


@given(EVALUATIONS)
@how(derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_an_evaluation_is_read_bit_for_bit(tmp_path: Path, evaluation: Evaluation) -> None:
    file = tmp_path / "log.jsonl"
    file.unlink(missing_ok=True)
    Log(file).append(evaluation)
    (found,) = Log(file)
    assert found == evaluation
    signs = [math.copysign(1, number) for number in found.code]
    assert signs == [math.copysign(1, number) for number in evaluation.code], "-0.0 too"


def test_a_line_says_what_a_program_wants_to_know(tmp_path: Path) -> None:
    result = run(Log(tmp_path / "log.jsonl"), Calls())
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert len(lines) == 5 + 18
    for line, evaluation in zip(lines, [*result.initial, *result.found], strict=True):
        assert line["valid"] is (line["value"] is not None)
        assert (line["round"], line["sentence"], line["seconds"]) == (evaluation.round, evaluation.sentence, 0.5)
        assert torch.equal(torch.tensor(line["code"]), torch.tensor(evaluation.code))


def test_a_line_is_there_as_soon_as_its_result_is(tmp_path: Path) -> None:
    file = tmp_path / "log.jsonl"
    oracle = Calls("shuffled", limit=9)
    with pytest.raises(KeyboardInterrupt):
        run(Log(file), oracle)
    assert [json.loads(line)["sentence"] for line in file.read_text().splitlines()] == oracle.calls


@pytest.mark.parametrize("order", ["given", "reversed", "shuffled"])
def test_a_search_cut_anywhere_ends_as_one_that_was_not(tmp_path: Path, order: Any) -> None:
    whole = run(Log(tmp_path / "whole.jsonl"), Calls(order))
    lines = (tmp_path / "whole.jsonl").read_bytes().splitlines(keepends=True)
    file = tmp_path / "cut.jsonl"
    for kept in range(len(lines) + 1):
        torn = lines[kept][:-1] if kept < len(lines) else b""
        file.write_bytes(b"".join(lines[:kept]) + torn[: 7 * kept])
        oracle = Calls(order)
        resumed = run(Log(file), oracle)
        assert resumed.initial == whole.initial
        assert resumed.found == whole.found
        assert len(oracle.calls) == len(lines) - kept, "what the log has is not called again"
        written = [json.loads(line) for line in file.read_text().splitlines()]
        assert [line["sentence"] for line in written[kept:]] == oracle.calls
        assert len(written) == len(lines)


def test_the_choice_among_all_is_resumed_too(tmp_path: Path) -> None:
    problem = Wave()
    whole = run(Log(tmp_path / "whole.jsonl"), Calls(), problem)
    assert whole.surveyed == len(Circle().sentences)
    lines = (tmp_path / "whole.jsonl").read_bytes().splitlines(keepends=True)
    for kept in (0, 3, 5, 8):
        (tmp_path / "cut.jsonl").write_bytes(b"".join(lines[:kept]))
        oracle = Calls("reversed")
        resumed = run(Log(tmp_path / "cut.jsonl"), oracle, problem)
        assert [start.sentence for start in resumed.initial] == [start.sentence for start in whole.initial]
        assert resumed.sentences == whole.sentences
        assert len(set(oracle.calls)) == len(oracle.calls)
        assert not set(oracle.calls) & set(Circle().sentences), "the survey is not made again"
    (tmp_path / "survey.jsonl").write_text('{"sentence": "a", "value": "high", "reason": ""}\n')
    with pytest.raises(DimeError, match=r"survey.jsonl:1: damaged: value: "):
        run(Log(tmp_path / "cut.jsonl"), Calls(), problem)


def test_more_rounds_go_on_where_the_log_ends(tmp_path: Path) -> None:
    longer = SETTINGS.model_copy(update={"rounds": 5})
    whole = run(None, Calls(), settings=longer)
    run(Log(tmp_path / "log.jsonl"), Calls())
    oracle = Calls()
    resumed = run(Log(tmp_path / "log.jsonl"), oracle, settings=longer)
    assert resumed.found == whole.found
    assert len(oracle.calls) == 12


def test_whole_rounds_are_not_proposed_again(tmp_path: Path) -> None:
    whole = run(Log(tmp_path / "log.jsonl"), Calls())

    def refuse(*_: Any) -> Any:
        raise AssertionError

    oracle: Any = Calls()
    log = Log(tmp_path / "log.jsonl")
    again = search(Circle(), oracle, Wave(thrifty=False), Fixed(asks=refuse), SETTINGS, log)
    assert (again.found, again.proposals, again.incomplete) == (whole.found, whole.proposals, whole.incomplete)
    assert oracle.calls == []


def test_an_observer_hears_of_what_the_log_has_and_a_baseline_does_not_repeat_it(tmp_path: Path) -> None:
    class Heard(Observer):
        def __init__(self) -> None:
            self.sentences: list[str] = []

        def evaluated(self, evaluation: Evaluation) -> None:
            self.sentences.append(evaluation.sentence)

    whole = run(Log(tmp_path / "log.jsonl"), Calls())
    observer, oracle, problem = Heard(), Calls(), Wave(thrifty=False)
    evaluates: Any = oracle
    cache: dict[str, Outcome] = {}
    log = Log(tmp_path / "log.jsonl")
    search(Circle(), evaluates, problem, Climb(), SETTINGS, log, observer, cache)
    assert observer.sentences == [evaluation.sentence for evaluation in [*whole.initial, *whole.found]]
    again = search(Circle(), evaluates, problem, Climb(), SETTINGS, None, None, cache)
    assert again.sentences == whole.sentences
    assert oracle.calls == []


def test_what_was_evaluated_counts_though_other_candidates_follow(tmp_path: Path) -> None:
    whole = run(Log(tmp_path / "log.jsonl"), Calls("shuffled"))
    lines = (tmp_path / "log.jsonl").read_text().splitlines(keepends=True)[:13]  # 2 of the second round
    (tmp_path / "log.jsonl").write_text("".join(lines))

    class Other(Climb):
        """As after an upgrade."""

        def ask(self, n: int, history: Any, space: Any, rng: torch.Generator) -> Any:
            return super().ask(n, history, space, rng.manual_seed(99))

    oracle: Any = Calls()
    found = search(Circle(), oracle, Wave(thrifty=False), Other(), SETTINGS, Log(tmp_path / "log.jsonl")).found
    kept = {json.loads(line)["sentence"] for line in lines if json.loads(line)["round"] == 2}
    assert len(kept) == 2
    second = [evaluation for evaluation in found if evaluation.round == 2]
    assert len(second) == 6
    before = {evaluation.sentence: evaluation for evaluation in whole.found}
    assert {evaluation.sentence for evaluation in second if evaluation == before.get(evaluation.sentence)} >= kept
    assert len({evaluation.sentence for evaluation in found}) == len(found)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"{}", r":2: damaged: round: Field required"),
        (b"nonsense", r":2: damaged: Invalid JSON"),
        (b"", r":2: damaged: Invalid JSON"),
        (b"\xff\xfe", r":2: damaged: Invalid JSON"),
        (b"[" * 100_000, r":2: damaged: Invalid JSON"),
    ],
)
def test_damage_is_told_with_its_line(tmp_path: Path, line: bytes, said: str) -> None:
    file = tmp_path / "log.jsonl"
    run(Log(file), Calls())
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join([lines[0], line + b"\n", *lines[2:]]))
    with pytest.raises(DimeError, match=said) as caught:
        Log(file)
    assert "\n" not in str(caught.value)
    assert str(file) in str(caught.value)


@pytest.mark.parametrize(("key", "value"), [("value", "1"), ("code", [1, "2"]), ("round", 1.5), ("std", math.inf)])
def test_damage_within_a_line(tmp_path: Path, key: str, value: Any) -> None:
    file = tmp_path / "log.jsonl"
    run(Log(file), Calls())
    first, *rest = file.read_text().splitlines(keepends=True)
    file.write_text("".join([json.dumps({**json.loads(first), key: value}) + "\n", *rest]))
    with pytest.raises(DimeError, match=rf":1: damaged: {key}"):
        Log(file)


def test_a_sentence_that_occurs_twice(tmp_path: Path) -> None:
    file = tmp_path / "log.jsonl"
    run(Log(file), Calls())
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join([*lines, lines[3]]))
    with pytest.raises(DimeError, match=rf":{len(lines) + 1}: damaged: '[ab]+c' was evaluated before"):
        Log(file)


def test_a_place_that_is_taken_twice(tmp_path: Path) -> None:
    file = tmp_path / "log.jsonl"
    run(Log(file), Calls())
    lines = file.read_text().splitlines(keepends=True)
    lines[7] = json.dumps({**json.loads(lines[7]), "index": 0}) + "\n"
    file.write_text("".join(lines))
    with pytest.raises(DimeError, match=r":8: damaged: round 1 has another sentence at index 0$"):
        Log(file)


def test_what_could_not_be_written_is_not_there(tmp_path: Path) -> None:
    log = Log(tmp_path / "none" / "log.jsonl")
    with pytest.raises(DimeError, match="cannot write"):
        log.append(Evaluation(0, 0, "c", 1.0, "", None, (1.0,)))
    assert list(log) == []


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(DimeError, match="cannot be read: Is a directory"):
        Log(tmp_path)


KILLED = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from host_fakes import HangingCalls
from test_log import SETTINGS, run
from dimecli.search.log import Log
run(Log(Path(sys.argv[2])), HangingCalls(Path(sys.argv[3]), 13))
"""


def test_a_search_killed_while_the_oracle_works(tmp_path: Path) -> None:
    log, calls = tmp_path / "log.jsonl", tmp_path / "calls"
    words = [sys.executable, "-c", KILLED, os.path.dirname(__file__), str(log), str(calls)]
    process = subprocess.Popen(words)
    deadline = time.monotonic() + 60
    while not (log.exists() and len(log.read_bytes().splitlines()) == 5 + 6 + 2):  # two into the second round
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    called = calls.read_text().split()
    assert len(called) == 13
    oracle, alone = Calls("reversed"), Calls("reversed")
    resumed, whole = run(Log(log), oracle), run(None, alone)
    assert [*called, *oracle.calls] == alone.calls, "no call is repeated, and the same ones follow"
    assert resumed.sentences == whole.sentences
    assert [found.code for found in resumed.found] == [found.code for found in whole.found]
    assert torch.equal(resumed.values.nan_to_num(), whole.values.nan_to_num())
