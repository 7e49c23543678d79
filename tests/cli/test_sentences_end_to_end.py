"""From a grammar to sentences on the command line, with nothing replaced."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dimecli.grammar import Grammar

Dime = Callable[..., Any]

WORDS = """%start sentence
%separator ' '
%max_len 12
sentence -> subject verb subject | sentence 'and' sentence2
sentence2 -> subject verb
subject -> 'the' noun | 'a' adjective noun
adjective -> 'small' | 'red' | adjective 'very'
noun -> 'cat' | 'dog'
verb -> 'sees' | 'hears'
unused -> 'x'
"""


def train(dime: Dime, *words: str) -> str:
    ran = dime("train", *words, "--device", "cpu", "--json")
    assert ran.code == 0, ran.err
    return str(ran.json["run"])


@pytest.mark.slow
def test_expressions(dime: Dime) -> None:
    run = train(dime, "dime", "--grammar", "expressions", "--size", "600", "--epochs", "40")
    sampled = dime("sample", "--density", "gmm", "-n", "20")
    assert sampled.code == 0, sampled.err
    lines = sampled.out.splitlines()
    assert len(lines) == 20
    assert "complete 100.0%, valid 100.0%" in sampled.err
    assert Path("runs", run, "samples", "001-gmm.txt").read_text() == sampled.out

    free = dime(
        "sample", "--density", "prior", "--no-reserve", "--no-distinct", "--decode", "sample", "-n", "200", "--json"
    ).json
    assert free["complete"] < 1
    assert len(free["sentences"]) == round(200 * free["complete"])
    kept = np.load(free["files"][1])
    assert (kept["samples"].dtype, kept["samples"].shape) == (np.int16, (200, 15))
    again = dime(
        "sample", "--density", "prior", "--no-reserve", "--no-distinct", "--decode", "sample", "-n", "200", "--json"
    ).json
    assert again["sentences"] == free["sentences"], "the seed decides the draws"
    voted = dime(
        "sample", "--density", "prior", "--no-reserve", "--no-distinct", "--decode", "vote:9", "-n", "200", "--json"
    ).json
    assert voted["complete"] > free["complete"]

    exact = dime("reconstruct", "--json").json
    assert exact["n"] == 120
    assert sum(row["n"] for row in exact["lengths"]) == 120
    assert {row["length"] for row in exact["lengths"]} <= {2, 4, 6, 8, 10, 12, 14}


@pytest.mark.slow
@pytest.mark.parametrize("network", ["grammar-conv-gru", "grammar-transformer", "character"])
def test_a_grammar_of_one_s_own(dime: Dime, tmp_path: Path, network: str) -> None:
    (tmp_path / "words.cfg").write_text(WORDS)
    words = f"vae --grammar words.cfg --network {network} --size 300 --epochs 2 --max-length 10"
    ran = dime("train", *words.split(), "--device", "cpu")
    assert ran.code == 0, ran.err
    assert "Note: " in ran.err
    assert "unused" in ran.err

    result = dime("sample", "-n", "30", "--density", "gaussian", "-o", "drawn.txt", "--json").json
    assert 0 <= result["valid"] <= result["complete"] == 1
    assert (tmp_path / "drawn.txt").read_text().splitlines() == result["sentences"]
    if network != "character":
        assert not Grammar.compile(WORDS, max_len=10).parse_all(result["sentences"])[1]
        assert result["valid"] == 1
    assert dime("reconstruct", "-n", "10").code == 0


@pytest.mark.slow
def test_a_run_of_sentences_resumes_elsewhere_and_minds_its_grammar(
    dime: Dime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "words.cfg").write_text(WORDS)
    run = train(dime, "ae", "--grammar", "words.cfg", "--size", "200", "--epochs", "1")
    path = tmp_path / "runs" / run
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert dime("sample", str(path), "-n", "3").code == 0
    (tmp_path / "words.cfg").write_text(WORDS.replace("'cat'", "'mouse'"))
    ran = dime("reconstruct", str(path))
    assert ran.code == 2
    assert "samples of 'sentences' are not those that run" in ran.err
