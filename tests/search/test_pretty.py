"""Pretty expressions, read again as formulas, against the sentences that they are of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from dimecli.grammar.evaluate import evaluate
from dimecli.grammar.formula import formula_values
from dimecli.grammar.languages import find_language
from dimecli.plugin import Language
from dimecli.registry import make
from dimecli.search.pretty import pretty

ANY = """
%max_len 30
E -> E '+' E | E '-' E | E '*' E | E '/' E | E '**' E | '-' E | '(' E ')' | 'sqrt(' E ')' | 'abs(' E ')' | 'exp(' E ')'
E -> 'log(' E ')' | 'sin(' E ')' | 'cos' '(' E ')' | 'tan(' E ')' | 'tanh(' E ')' | 'x' | 'y' | '2' | '0.5' | '3' | 'e'
E -> '1000' | '9999' | '0.001' | '1.0001' | 'pi'
"""


@pytest.fixture
def anything(tmp_path: Path) -> Language:
    """An ambiguous grammar of all arithmetic."""
    file = tmp_path / "any.cfg"
    file.write_text(ANY)
    return find_language(str(file))


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("1/3+x+sin(x*x)", "x + sin(x**2) + 1/3"),
        ("x/1+sin(3)+sin(x*x)", "x + sin(x**2) + sin(3)"),
        ("(x+1)*(x+1)", "(x + 1)**2"),
        ("x+x+2+3", "2*x + 5"),
        ("x*(x+1)/x", "x + 1"),
        ("exp(1)+(((x)))", "x + e"),
        ("2/3/3", "2/9"),
        ("exp(exp(3))+x", "exp(exp(3))+x"),
    ],
)
def test_expressions(sentence: str, expected: str) -> None:
    assert pretty(sentence, make("grammar", "expressions")) == expected


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("sqrt(x**2)", "abs(x)"),
        ("0.5*x", "x/2"),
        ("x-(x-y)", "y"),
        ("sin(pi)*x", "0"),
        ("sqrt(-2)", "sqrt(-2)"),
        ("1/(x-x)", "1/(x-x)"),
        ("0.001*0.001*0.001*x", "0.001*0.001*0.001*x"),
    ],
)
def test_only_real_and_finite_numbers_come_out(sentence: str, expected: str, anything: Language) -> None:
    assert pretty(sentence, anything) == expected


@pytest.mark.parametrize(
    "sentence",
    [
        "3**3**3**3",
        "exp(exp(exp(exp(9999))))*x",
        "((x+y+1)**9999)**9999",
        "(x+y)**9999*(x-y)**9999",
        "exp(9999*log(exp(9999*log(1.0001))))",
        "((1000*x)**1000)**1000",
        "1.0001**9999**0.5",
        "abs(sin(9999)**1000-x)**1000",
    ],
)
def test_huge_numbers_and_powers_are_left_alone(sentence: str, anything: Language) -> None:
    assert pretty(sentence, anything).replace(" ", "") == sentence


def test_what_is_no_arithmetic_stays_as_it_is() -> None:
    assert pretty("~a|b", make("grammar", "boolean")) == "~a|b"
    assert pretty("c1ccccc1", make("grammar", "smiles")) == "c1ccccc1"
    assert pretty("x++1", make("grammar", "expressions")) == "x++1"


@pytest.mark.parametrize("name", ["expressions", "expressions-infix", "anything"])
def test_values_are_those_of_the_sentence(name: str, anything: Language) -> None:
    language = anything if name == "anything" else make("grammar", name)
    grammar, semantics = language.compile(), language.semantics()
    assert semantics is not None
    ids = grammar.sample(60, np.random.default_rng(0), "length")
    sentences = [str(text) for text in grammar.unparse_all(ids)]
    points = torch.tensor([[-1.7, 0.3, 0.8, 2.1], [0.9, -0.4, 1.3, 2.2]], dtype=torch.float64)[
        : len(semantics.variables)
    ]
    simplified = compared = 0
    for sentence, values in zip(sentences, evaluate(grammar, semantics, ids, points), strict=True):
        written = pretty(sentence, language)
        simplified += written != sentence
        found = formula_values(written, semantics.variables, points)
        sane = values.isfinite() & (values.abs() < 1e6) & (values.abs() > 1e-6)
        compared += int(sane.sum())
        torch.testing.assert_close(found[sane], values[sane], rtol=1e-6, atol=0, msg=f"{sentence} -> {written}")
    assert simplified > 15
    assert compared > 80
