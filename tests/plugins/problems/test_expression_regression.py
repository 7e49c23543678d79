"""Symbolic regression: the scores of GrammarVAE and of weighted retraining, data, several variables."""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import log
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dimecli.errors import UserError
from dimecli.grammar.languages import find_language
from dimecli.plugin import Language, Outcome
from dimecli.registry import make
from dimecli_plugins.problems import expression_regression as module
from dimecli_plugins.problems.expression_regression import ExpressionRegression

LANGUAGE = make("grammar", "expressions")
WORST = log(1001)
X = np.linspace(-10, 10, 1000)
TARGET = 1 / 3 + X + np.sin(X * X)


@pytest.fixture
def plane(tmp_path: Path) -> Language:
    """A grammar of two variables."""
    file = tmp_path / "plane.cfg"
    file.write_text("%max_len 15\nS -> S '+' T | S '*' T | S '/' T | T\nT -> 'a' | 'b' | '2' | 'sin(' S ')'")
    return find_language(str(file))


def scores(sentences: Sequence[str], language: Language = LANGUAGE, **options: Any) -> list[Any]:
    problem = ExpressionRegression(**options)
    problem.check(language)
    return problem.evaluate(sentences, language)


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
        ("exp(exp(exp(3)))", WORST),
    ],
)
def test_the_ladder_of_scores(sentence: str, score: float) -> None:
    assert scores([sentence])[0] == pytest.approx(score, abs=5e-5)


def test_errors_are_clipped_point_by_point() -> None:
    with np.errstate(over="ignore"):
        values = [X**3, np.exp(np.exp(X))]
        clipped = [log(1 + np.mean(np.minimum((value - TARGET) ** 2, 1000))) for value in values]
    np.testing.assert_allclose(scores(["x*x*x", "exp(exp(x))", "x*x*x"]), [*clipped, clipped[0]], rtol=1e-9)
    assert scores([]) == []


def test_cap7_clips_the_score_and_not_the_errors() -> None:
    values = {"x*x": X * X, "x": X, "x+x": 2 * X, "exp(x)": np.exp(X)}
    expected = [min(7, log(1 + np.mean((value - TARGET) ** 2))) for value in values.values()]
    assert expected[-1] == 7
    np.testing.assert_allclose(scores(list(values), score="cap7"), expected, rtol=1e-9)
    assert scores(["exp(exp(exp(x)))"], score="cap7") == [7]
    assert (ExpressionRegression(score="cap7").worst, ExpressionRegression().worst) == (7, WORST)


def test_what_has_no_value_is_invalid_and_says_why() -> None:
    sentences = ["x", "x+", "", "sin(exp(exp(x*x)))", "y", "x" * 50_000, "x"]
    for found in (scores(sentences), scores(sentences, score="cap7")):
        assert found[0] == found[-1] == pytest.approx(0.4876, abs=5e-5)
        assert all(outcome.value is None for outcome in found[1:-1])
        assert found[1].reason.startswith("no sentence: character 3: the end where")
        assert found[3].reason == "not a number at x = -10"
        assert "50,000 characters" in found[5].reason


def test_scores_of_all_rows() -> None:
    found = np.array(scores(LANGUAGE.sources["gvae"]()))
    assert found.argmin() == 99_908
    assert np.sort(found)[1] == pytest.approx(0.0274, abs=5e-5)
    assert np.median(found) == pytest.approx(4.646, abs=5e-4)
    assert found.mean() == pytest.approx(4.719, abs=5e-4)
    assert found.std() == pytest.approx(1.458, abs=5e-4)
    assert (found == WORST).mean() == pytest.approx(0.063, abs=5e-4)
    assert len(np.unique(found.round(9))) == 9_194


def test_memory_is_bounded_whatever_the_points(monkeypatch: pytest.MonkeyPatch) -> None:
    sentences = ["x", "x+1", "x+", "x*x", "1/x"]
    whole = scores(sentences, points=501)
    monkeypatch.setattr(module, "_VALUES", 1100)
    found = scores(sentences, points=501)
    assert found[2] == whole[2]
    assert [found[i] for i in (0, 1, 3, 4)] == pytest.approx([whole[i] for i in (0, 1, 3, 4)], rel=1e-12)


def test_a_target_of_several_variables(plane: Language) -> None:
    found = scores(["a*b+2", "2+b*a", "a*b", "a"], plane, target="a*b + 2", low=-1, high=1, points=256)
    assert found[:2] == pytest.approx([0, 0], abs=1e-12)
    assert found[2] == pytest.approx(log(5))
    grid = (np.arange(2000) + 0.5) / 1000 - 1
    mean = np.mean((grid[:, None] - (grid[:, None] * grid + 2)) ** 2)  # the integral over the square
    assert found[3] == pytest.approx(log(1 + mean), rel=2e-2)


def test_data(tmp_path: Path, plane: Language) -> None:
    table = np.random.default_rng(0).uniform(-2, 2, (50, 2))
    y = table[:, 0] * table[:, 1] + 2 + 0.1 * table[:, 0]
    path = tmp_path / "mine.csv"
    path.write_text(
        "b,a,y\n" + "".join(f"{b!r},{a!r},{t!r}\n" for (a, b), t in zip(table.tolist(), y.tolist(), strict=True))
    )
    found = scores(["a*b+2", "b"], plane, data=path)
    expected = [np.mean((0.1 * table[:, 0]) ** 2), np.mean((table[:, 1] - y) ** 2)]
    np.testing.assert_allclose(found, np.log1p(expected), rtol=1e-12)
    problem = ExpressionRegression(data=path)
    assert (problem.optimum, list(problem.files)) == (None, [path])
    path.write_text("a,b,y\n1,2,4\n")
    assert scores(["a*b+2"], plane, data=path) == [0], "a file that changed is read again"
    with pytest.raises(UserError, match=r"mine\.csv:1: no column named 'x', a variable of the grammar"):
        problem.check(LANGUAGE)


def test_a_grammar_whose_sentences_are_not_all_arithmetic(tmp_path: Path) -> None:
    file = tmp_path / "odd.cfg"
    file.write_text("S -> 'x' | 'x' 'x' | 'x' '+' 'x'")
    found = scores(["x", "xx", "x+x"], find_language(str(file)))
    assert found[1] == Outcome(None, "no expression, read as arithmetic")
    assert [found[0], found[2]] == scores(["x", "x+x"])


def test_boolean_functions_fit_a_truth_table(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("a,b,c,d,y\n0,0,0,0,1\n0,1,0,0,1\n1,0,0,0,0\n1,1,0,0,0\n")
    found = scores(["~a", "a", "b"], make("grammar", "boolean"), data=path)
    assert found == [0, pytest.approx(log(2)), pytest.approx(log(1.5))]


@pytest.mark.parametrize(
    ("grammar", "options", "says"),
    [
        ("boolean", {}, "--target '1/3 + x + sin(x*x)': character 7: 'x' is not known"),
        ("rna", {}, "needs a grammar whose sentences have values"),
        ("smiles", {}, "needs a grammar whose sentences have values"),
        ("expressions", {"target": "x+"}, "--target 'x+': character 3: the end where"),
        (
            "expressions",
            {"target": "log(x)"},
            "--target 'log(x)': has no finite value at x = -10; see --low and --high",
        ),
    ],
)
def test_what_does_not_suit_the_grammar_is_refused(grammar: str, options: dict[str, Any], says: str) -> None:
    with pytest.raises(UserError, match=re.escape(says)):
        ExpressionRegression(**options).check(make("grammar", grammar))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"low": 3, "high": 3}, "--low 3 must be less than --high 3"),
        ({"column": "y"}, "--column is for --data FILE"),
        ({"data": "m.csv", "target": "x"}, "--target has no say where --data gives the points"),
        ({"data": "m.csv", "points": 5}, "--points has no say where --data gives the points"),
        ({"points": 0}, "greater than or equal to 1"),
        ({"score": "mse"}, "'clip1000' or 'cap7'"),
    ],
)
def test_options_that_contradict_each_other(options: dict[str, Any], says: str) -> None:
    with pytest.raises(UserError, match=re.escape(says)):
        make("problem", "expression-regression", **options)


def test_its_options_survive_a_record(tmp_path: Path) -> None:
    problem = ExpressionRegression(data=tmp_path / "m.csv", column="y", score="cap7")
    assert make("problem", "expression-regression", **problem.options()) == problem
