"""GrammarVAE's grammar, data and score, against what is known of them."""

from __future__ import annotations

from collections import Counter
from math import log

import numpy as np
import pytest

from dimecli.registry import make

LANGUAGE = make("grammar", "expressions")
ROWS = LANGUAGE.sources["gvae"]()


def test_counts_of_derivations() -> None:
    counts = LANGUAGE.compile().counts[0]
    found = {length: count for length, count in enumerate(counts) if count}
    assert found == {2: 4, 4: 60, 6: 1_044, 8: 19_980, 10: 407_268, 12: 8_675_100, 14: 190_837_620}


def test_the_rows_of_grammarvae() -> None:
    assert len(ROWS) == len(set(ROWS)) == 100_000
    assert ROWS[:2] == ["x+x+(x)+(x+x)", "x+x+(x)+(x+1)"]
    assert ROWS[99_908] == "1/3+(x)+sin(x*x)"
    assert {row.split("+")[0] for row in ROWS[90_000:]} == {"x/3", "1/x", "1/1", "1/2", "1/3"}
    ids, failures = LANGUAGE.compile().parse_all(ROWS)
    assert not failures
    assert Counter((ids < 11).sum(1).tolist()) == {8: 624, 10: 3_748, 12: 28_092, 14: 67_536}
    assert set(ids[:, 0].tolist()) == {0}


@pytest.mark.parametrize(
    ("sentence", "score"),
    [
        ("x", 0.4876),
        ("x+sin(x*x)", 0.1054),
        ("x+sin(3)+sin(x*x)", 0.0363),
        ("x/1+sin(3)+sin(x*x)", 0.0363),
        ("1/2+x+sin(x*x)", 0.0274),
        ("1/3+x+sin(x*x)", 0),
        ("1/3+(x)+sin(x*x)", 0),
        ("exp(exp(exp(3)))", log(1001)),
    ],
)
def test_the_ladder_of_scores(sentence: str, score: float) -> None:
    assert LANGUAGE.score([sentence])[0] == pytest.approx(score, abs=5e-5)


def test_errors_are_clipped_point_by_point_and_what_is_not_a_number_is_worst() -> None:
    x = np.linspace(-10, 10, 1000)
    target = 1 / 3 + x + np.sin(x * x)
    sentences = ["x*x*x", "exp(exp(x))", "exp(exp(x*x))/exp(exp(x*x))", "x+", "", "x*x*x"]
    with np.errstate(over="ignore"):
        values = [x**3, np.exp(np.exp(x))]
        clipped = [log(1 + np.mean(np.minimum((value - target) ** 2, 1000))) for value in values]
    worst = log(1001)
    np.testing.assert_allclose(LANGUAGE.score(sentences), [*clipped, worst, worst, worst, clipped[0]], rtol=1e-9)
    assert LANGUAGE.score([]).shape == (0,)


def test_scores_of_all_rows() -> None:
    scores = LANGUAGE.score(ROWS)
    assert scores.argmin() == 99_908
    assert np.sort(scores)[1] == pytest.approx(0.0274, abs=5e-5)
    assert np.median(scores) == pytest.approx(4.646, abs=5e-4)
    assert scores.mean() == pytest.approx(4.719, abs=5e-4)
    assert scores.std() == pytest.approx(1.458, abs=5e-4)
    assert (scores == log(1001)).mean() == pytest.approx(0.063, abs=5e-4)
    assert len(np.unique(scores.round(9))) == 9_194
