"""Formulas that users type, against Python's reading of them."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from dimecli.errors import UserError
from dimecli.grammar.formula import formula_values

X = np.array([0.3, 1.7, 2.0])
Y = 2 * X
E, PI = math.e, math.pi


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ("1/3 + x + sin(x*x)", 1 / 3 + X + np.sin(X * X)),
        ("-x**2*3", -(X**2) * 3),
        ("2**-x**2", 2 ** -(X**2)),
        ("1e-3*x + .5 - 12.25", 1e-3 * X + 0.5 - 12.25),
        ("x - x1 - 3", X - Y - 3),
        ("x/x1/2*e", X / Y / 2 * E),
        ("sqrt(abs(cos(x)))*tan( x ) + tanh(log (pi))", np.sqrt(np.abs(np.cos(X))) * np.tan(X) + np.tanh(np.log(PI))),
        ("--x", X),
        ("((((x))))", X),
        ("exp(-(x + x1)**2/2)", np.exp(-((X + Y) ** 2) / 2)),
    ],
)
def test_values_are_those_of_python(formula: str, expected: NDArray[np.float64]) -> None:
    found = formula_values(formula, ["x", "x1"], torch.tensor(np.stack([X, Y])))
    np.testing.assert_allclose(found, expected, rtol=1e-14)


def test_rows_of_the_inputs_are_the_variables_in_the_order_given() -> None:
    inputs = torch.tensor([[1.0, 2.0], [10.0, 20.0]])
    assert formula_values("b - a", ["b", "a"], inputs).tolist() == [-9, -18]
    assert formula_values("3", [], torch.empty(0, 2)).tolist() == [3, 3]


@pytest.mark.parametrize(
    ("formula", "says"),
    [
        ("", "character 1: the end where"),
        ("x +", "character 4: the end where '-', '(', 'x'"),
        ("x + y", "character 5: 'y' is not known. Known: abs, cos, e,"),
        ("coss(x)", "character 1: 'coss' is not known. Did you mean 'cos'?"),
        ("2 x", "character 3: 'x' where '+', '-', '*'"),
        ("(x", "character 3: the end where"),
        ("sin x", "character 5: 'x' where '(' is expected"),
        ("x^2", "character 2: '^' where"),
        ("__import__('os')", "character 1: '__import__' is not known"),
        ("x.real", "character 3: 'real' is not known"),
        ("x" + "+x" * 3000, "at most 10000 productions"),
    ],
)
def test_what_is_no_formula_is_refused_with_its_place(formula: str, says: str) -> None:
    with pytest.raises(UserError, match=re.escape(says)):
        formula_values(formula, ["x"], torch.zeros(1, 1))
