from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, NamedTuple

import pytest

from dimecli.console import Reporter
from dimecli.search import predictive
from dimecli.search.lab import open_lab
from dimecli.search.predictive import MODELS
from dimecli_plugins.protocols import table3
from dimecli_plugins.protocols.systems import SYSTEMS
from dimecli_plugins.protocols.table3 import Table3


def rows(report: str) -> dict[str, list[str]]:
    """The cells of each row by what is predicted from."""
    lines = [re.split(r"\s*\|\s*", line.strip("| ")) for line in report.splitlines() if line.startswith("|")]
    return {line[0]: line[1:] for line in lines[2:]}


PROTOCOL = Table3(small=True)


class Done(NamedTuple):
    folder: Path
    report: str


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Done]:
    """A tiny protocol, done once; it stays tiny while the tests run."""
    size = table3._Size(sentences=300, epochs=1, lr=1e-3, splits=2, inducing=10, max_steps=8)
    folder = tmp_path_factory.mktemp("lab")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(table3, "_SMALL", size)
        yield Done(folder, run(folder))


def run(folder: Path) -> str:
    with open_lab(folder, PROTOCOL, Reporter(quiet=True)) as lab:
        return PROTOCOL.run(lab)


def test_table_is_of_the_results(done: Done) -> None:
    entries = [json.loads(line) for line in (done.folder / "results.jsonl").read_text().splitlines()]
    results: dict[str, Any] = {entry["key"]: entry["result"] for entry in entries}
    assert len(results) == len(entries) == (3 + 3) * 2
    table = rows(done.report)
    systems = [f"{system} codes" for system in ("GVAE", "CVAE", "GDIME")]
    assert list(table) == [*systems, *(f"no codes: {model}" for model in MODELS)]
    for name, row in table.items():
        key = name.removesuffix(" codes").removeprefix("no codes: ")
        found = [results[f"{key} {seed}"] for seed in (1, 2)]
        for cell, number in zip(row[:2], ("rmse", "log_likelihood"), strict=True):
            values = [result[number] for result in found]
            assert cell == f"{fmean(values):.3f} ± {stdev(values) / 2**0.5:.3f}"
    steps = fmean(results[f"GVAE {seed}"]["steps"] for seed in (1, 2))
    assert table["GVAE codes"][2:] == [f"{steps:.0f}", "0 of 2", "0.884", "-1.320"]  # eight steps are no plateau


def test_nothing_is_computed_twice(done: Done, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> Any:
        raise AssertionError("computed again")

    monkeypatch.setattr(predictive, "from_codes", refuse)
    monkeypatch.setattr(predictive, "from_sentences", refuse)
    assert run(done.folder) == done.report


def test_every_system_has_the_same_sentences_with_the_scores_of_the_task(done: Done) -> None:
    with open_lab(done.folder, PROTOCOL, Reporter(quiet=True)) as lab:
        first, *others = (
            table3._Rows(lab.train(name.lower(), table3._tables(name, table3._SMALL))) for name in SYSTEMS
        )
    assert len(set(first.sentences)) == len(first.sentences) == len(first.codes) == len(first.values) == 300
    assert all(first.sentences == other.sentences for other in others)
    assert first.codes.shape[1] == 25
    sentences = ["1/3+(x)+sin(x*x)", "1/2+x+sin(x*x)", "x/1+sin(3)+sin(x*x)", "no sentence"]
    known = table3._Rows(first.run)
    known.__dict__["sentences"] = sentences
    assert known.values.tolist() == pytest.approx([0, 0.0274, 0.0363, math.log(1001)], abs=1e-4)


def test_the_whole_protocol_is_as_published() -> None:
    assert (table3._FULL.sentences, table3._FULL.splits, table3._FULL.inducing) == (None, 10, 500)
    assert all(objective["latent_size"] == 25 for objective, _ in SYSTEMS.values())
