"""Values of sentences, against a walk over Python's own syntax tree with numpy's functions."""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from dimecli.grammar import Grammar
from dimecli.grammar import evaluate as module
from dimecli.grammar.evaluate import evaluate
from dimecli.grammar.programs import Meaning, programs
from dimecli.grammar.rules import Nonterminal
from dimecli.grammar.semantics import Infix, Semantics, arithmetic
from dimecli.registry import make

OPERATORS: dict[type, Callable[..., Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
    ast.USub: operator.neg,
    ast.BitAnd: operator.and_,
    ast.BitOr: operator.or_,
    ast.Invert: operator.invert,
}

# Every sentence has several derivations here, Python's precedence one meaning.
AMBIGUOUS = Grammar.compile(
    "%max_len 12\n"
    "E -> E '+' E | E '-' E | E '*' E | E '/' E | E '**' E | '-' E | '(' E ')' | 'sqrt' '(' E ')' | 'x' | '2' | '3'"
)
POINTS = np.array([-0.9, -0.3, 0.0, 0.4, 0.8])


def value(node: ast.expr, names: dict[str, Any]) -> Any:
    match node:
        case ast.BinOp(left, sign, right):
            return OPERATORS[type(sign)](value(left, names), value(right, names))
        case ast.UnaryOp(sign, operand):
            return OPERATORS[type(sign)](value(operand, names))
        case ast.Call(ast.Name(function), [argument]):
            found = value(argument, names)
            return getattr(torch if isinstance(found, torch.Tensor) else np, function)(found)
        case ast.Name(name):
            return names[name]
        case ast.Constant(int(number)):
            return names["one"] * number  # of the type and shape of x
    raise AssertionError(ast.dump(node))


def python(sentence: str, x: Any) -> Any:
    with np.errstate(all="ignore"):
        names = {"x": x, "one": x * 0 + 1, "pi": x * 0 + np.pi}
        return value(ast.parse(sentence, mode="eval").body, names)


def bracketed(grammar: Grammar, ids: NDArray[np.int16]) -> str:
    """The sentence with brackets around what each nonterminal stands for."""
    remaining = iter(ids.tolist())

    def derive() -> str:
        rhs = grammar.productions[next(remaining)].rhs
        return "".join(f"({derive()})" if isinstance(symbol, Nonterminal) else symbol for symbol in rhs)

    return derive()


def bundled(name: str) -> tuple[Grammar, Semantics]:
    language = make("grammar", name)
    return language.compile(), language.semantics()


def ambiguous() -> tuple[Grammar, Semantics]:
    return AMBIGUOUS, arithmetic(AMBIGUOUS.terminals)


@pytest.mark.parametrize("meaning", ["string", "tree"])
@pytest.mark.parametrize("name", ["expressions", "expressions-infix", "ambiguous"])
def test_values_are_those_of_python(name: str, meaning: Meaning) -> None:
    grammar, semantics = ambiguous() if name == "ambiguous" else bundled(name)
    ids = grammar.sample(3000, np.random.default_rng(1), "length")
    x = torch.tensor(POINTS)
    found = evaluate(grammar, semantics, ids, x[None], meaning).numpy()
    assert found.shape == (3000, len(POINTS))
    assert np.isfinite(found).mean() > 0.5
    # The functions of torch where sin(exp(5)**3) shows every last digit; elsewhere those of numpy.
    points = x if name == "expressions-infix" else POINTS
    for row, values in zip(ids, found, strict=True):
        sentence = grammar.unparse(row) if meaning == "string" else bracketed(grammar, row)
        np.testing.assert_allclose(values, python(sentence, points), 1e-9, 1e-9, err_msg=sentence)


@pytest.mark.parametrize("name", ["expressions-infix", "boolean"])
def test_with_precedence_the_tree_means_what_the_string_means(name: str) -> None:
    grammar, semantics = bundled(name)
    ids = grammar.sample(5000, np.random.default_rng(2), "length")
    string, tree = (programs(grammar, semantics, ids, meaning) for meaning in ("string", "tree"))
    torch.testing.assert_close(string, tree, rtol=0, atol=0)


def test_without_precedence_it_does_not() -> None:
    grammar, semantics = bundled("expressions")
    ids, x = grammar.parse("1+2*x")[None], torch.tensor([[3.0]])
    assert evaluate(grammar, semantics, ids, x, "string").item() == 7
    assert evaluate(grammar, semantics, ids, x, "tree").item() == 9


def test_boolean_functions_have_the_truth_tables_of_python() -> None:
    grammar, semantics = bundled("boolean")
    table = np.array(np.meshgrid(*[[False, True]] * 4)).reshape(4, 16)
    ids = grammar.sample(3000, np.random.default_rng(3), "length")
    found = evaluate(grammar, semantics, ids, torch.tensor(table).float())
    for row, values in zip(ids, found, strict=True):
        expected = value(ast.parse(grammar.unparse(row), mode="eval").body, dict(zip("abcd", table, strict=True)))
        np.testing.assert_array_equal(values.numpy(), expected.astype(np.float32))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_division_by_zero_and_overflow_are_those_of_numpy(dtype: torch.dtype) -> None:
    grammar, semantics = bundled("expressions-infix")
    sentences = ["1/(x-x)", "-1/(x-x)", "(x-x)/(x-x)", "1/x", "-1/x", "log(x)", "sqrt(x)", "exp(5**3*x)"]
    sentences += ["exp(5**3*5)-exp(5**3*5)", "(x-x)*exp(5**3*5)", "1/exp(5**3*5)", "(1/x)**2", "(-1/x)**3", "sin(1/x)"]
    points = np.array([-2, -1, -0.0, 0, 1, 2], np.float32 if dtype == torch.float32 else np.float64)
    found = evaluate(grammar, semantics, grammar.parse_all(sentences)[0], torch.tensor(points)[None])
    assert found.dtype == dtype
    assert found.isinf().any(1).sum() >= 7
    for sentence, values in zip(sentences, found, strict=True):
        np.testing.assert_allclose(values, python(sentence, points), 1e-6, err_msg=sentence)


def test_incomplete_derivations_are_nan_and_disturb_no_other_row() -> None:
    grammar, semantics = bundled("expressions")
    ids = grammar.parse_all(["x+1", "", "sin(x)*3"])[0]
    ids[2, 3:] = grammar.pad
    found = evaluate(grammar, semantics, np.concatenate([ids, ids[:1]]), torch.tensor([[1.0, 2.0]]))
    assert found[1:3].isnan().all()
    assert found[[0, 3]].tolist() == [[2, 3], [2, 3]]
    assert evaluate(grammar, semantics, ids[1:2], torch.tensor([[1.0]])).isnan().all()
    assert evaluate(grammar, semantics, ids[:0], torch.tensor([[1.0]])).shape == (0, 1)
    (wrong,) = grammar.parse_all(["x+1"])[0]
    wrong[1] = wrong[3]  # T is not next
    assert grammar.unparse_all(wrong[None]) == [None]
    assert evaluate(grammar, semantics, wrong[None], torch.tensor([[1.0]])).isnan().all()


def test_every_distinct_subexpression_is_computed_once() -> None:
    grammar = bundled("expressions")[0]
    computed: list[torch.Tensor] = []

    def sine(a: torch.Tensor) -> torch.Tensor:
        computed.extend(a)
        return a.sin()

    semantics = Semantics(("x",), {"1": 1}, {"sin(": sine}, infixes={"+": Infix(torch.add, 1)}, opening=frozenset("("))
    sentences = ["sin(x)+sin(x)", "1+sin(x)", "sin((x))", "sin(1+sin(x))", "sin(1)"] * 3
    plain = Grammar.compile("S -> S '+' T | T\nT -> '(' S ')' | 'sin(' S ')' | 'x' | '1'", max_len=20)
    assert set(plain.terminals) < set(grammar.terminals)
    evaluate(plain, semantics, plain.parse_all(sentences)[0], torch.tensor([[0.5]]))
    assert sorted(torch.stack(computed)[:, 0].tolist()) == pytest.approx(sorted([0.5, 1 + np.sin(0.5), 1]))


def test_pieces_are_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    grammar, semantics = bundled("expressions")
    ids, x = grammar.sample(200, np.random.default_rng(4)), torch.linspace(-1, 1, 31)[None].double()
    whole = evaluate(grammar, semantics, ids, x)
    for name, size in {"_IDS": 100, "_VALUES": 90, "_BLOCK": 5}.items():
        monkeypatch.setattr(module, name, size)
    torch.testing.assert_close(evaluate(grammar, semantics, ids, x), whole, rtol=1e-12, atol=1e-12, equal_nan=True)


def test_variables_are_rows_of_the_inputs_in_alphabetical_order() -> None:
    grammar = Grammar.compile("S -> S '-' T | T\nT -> 'y' | 'x1' | '0.5' | 'pi'")
    semantics = arithmetic(grammar.terminals)
    assert semantics.variables == ("x1", "y")
    inputs = torch.tensor([[1.0, 2.0], [10.0, 20.0]])
    assert evaluate(grammar, semantics, grammar.parse("y-x1-0.5")[None], inputs).tolist() == [[8.5, 17.5]]
    with pytest.raises(ValueError, match=r"inputs must be \(2, n\), one row a variable; got \(1, 2\)"):
        evaluate(grammar, semantics, grammar.parse("y")[None], inputs[:1])


def test_terminals_that_are_no_arithmetic_have_no_meaning() -> None:
    assert {"x", "+", "sin(", ")", "1e-3", ".5"} <= arithmetic(("x", "1e-3", ".5")).terminals
    assert not {"&", ".", "1x", "x "} & arithmetic(("&", ".", "1x", "x ")).terminals


def test_nonterminals_stand_for_values_or_operators() -> None:
    grammar = Grammar.compile("E -> E Op V | V\nOp -> '+' | Times\nTimes -> '*'\nV -> 'x' | '-' V", max_len=20)
    semantics = arithmetic(grammar.terminals)
    ids, x = grammar.parse_all(["x", "x+x*-x"])[0], torch.tensor([[3.0]])
    assert evaluate(grammar, semantics, ids, x).tolist() == [[3], [-6]]
    assert evaluate(grammar, semantics, ids, x, "tree").tolist() == [[3], [-18]]
    grammar = Grammar.compile("E -> V More\nMore -> '+' V More |\nV -> 'x'")
    ids = grammar.parse_all(["x+x"])[0]
    assert evaluate(grammar, semantics, ids, x).tolist() == [[6]]
    with pytest.raises(ValueError, match=r"row 0 is no expression, read as its tree: 'x\+x'"):
        evaluate(grammar, semantics, ids, x, "tree")


def test_what_is_no_expression_is_refused() -> None:
    semantics = arithmetic(("x", "+"))
    broken = Grammar.compile("E -> 'x' 'x' | 'x' ')' | '(' 'x' | 'x' '+' | 'x'")
    for sentence in ("xx", "x)", "(x", "x+"):
        with pytest.raises(ValueError, match=re.escape(f"row 1 is no expression, read as its string: '{sentence}'")):
            programs(broken, semantics, broken.parse_all(["x", sentence])[0])
    with pytest.raises(ValueError, match="terminals without a meaning: 'x'"):
        programs(broken, Semantics(infixes=semantics.infixes), broken.parse_all(["x"])[0])


@pytest.mark.gpu
def test_a_gpu_gives_the_same_values() -> None:
    grammar, semantics = bundled("expressions")
    ids, x = grammar.sample(5000, np.random.default_rng(5)), torch.linspace(-0.9, 0.9, 100)[None].double()
    found = evaluate(grammar, semantics, ids, x.cuda())
    assert found.is_cuda
    torch.testing.assert_close(found.cpu(), evaluate(grammar, semantics, ids, x), rtol=1e-9, atol=1e-9, equal_nan=True)
