"""Expressions as a person would write them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import sympy
import torch
from sympy.printing.str import StrPrinter

from dimecli.grammar.parse import ParseError
from dimecli.grammar.programs import programs
from dimecli.grammar.semantics import Instruction, Semantics
from dimecli.plugin import Language

# sympy is exact, however long that takes: what would be large is not given to it.
_LARGEST, _SMALLEST, _BITS = 1e4, 1e-4, 256  # magnitudes of constants, and bits of whole numbers
_LONGEST, _TERMS, _POWER = 100, 50, 10  # instructions, terms of a sum, and exponents

_KNOWN: dict[Callable[..., torch.Tensor], Callable[..., Any]] = {
    torch.abs: sympy.Abs,
    torch.add: sympy.Add,
    torch.cos: sympy.cos,
    torch.div: lambda a, b: a / b,
    torch.exp: sympy.exp,
    torch.log: sympy.log,
    torch.mul: sympy.Mul,
    torch.neg: lambda a: -a,
    torch.pow: sympy.Pow,
    torch.sin: sympy.sin,
    torch.sqrt: sympy.sqrt,
    torch.sub: lambda a, b: a - b,
    torch.tan: sympy.tan,
    torch.tanh: sympy.tanh,
}
_NAMED = {math.pi: sympy.pi, math.e: sympy.E}

_NOWHERE = torch.empty(0, 1, dtype=torch.float64)  # a point without coordinates
_FUNCTIONS = {sympy.Abs, sympy.cos, sympy.exp, sympy.log, sympy.sin, sympy.tan, sympy.tanh}  # no real part, say


def pretty(sentence: str, language: Language) -> str:
    """A sentence of an arithmetic grammar, simplified by sympy; any other sentence as it is.

    Where the sentence has a finite value, the two are equal but for rounding; `x/x` is 1, also at 0.
    What gains nothing stays as it is, and so does what is too long, or has such numbers that to be exact
    would take long.
    """
    semantics = language.semantics()
    if semantics is None:
        return sentence
    grammar = language.compile()
    try:
        (program,) = programs(grammar, semantics, grammar.parse(sentence)[None]).tolist()
        program = [code for code in program if code >= 0]
        short = _shortest(_expression(program, semantics))
    except (_NotSimplifiedError, ParseError, ValueError):
        return sentence
    operations = sum(semantics.instructions[code].arity > 0 for code in program)
    return _Printer().doprint(short) if short.count_ops() <= operations else sentence


class _NotSimplifiedError(Exception):
    """An expression is left alone."""


class _Printer(StrPrinter):  # type: ignore[misc]
    """Writes what `dimecli.grammar.formula` reads."""

    def _print_Abs(self, expression: Any) -> str:  # noqa: N802
        return f"abs({self._print(expression.args[0])})"

    def _print_Exp1(self, expression: Any) -> str:  # noqa: N802
        return "e"


class _Part(NamedTuple):
    """A subexpression, and what it is worth in floating point if it is constant."""

    expression: Any
    value: torch.Tensor | None = None


def _expression(program: Sequence[int], semantics: Semantics) -> Any:
    """What sympy makes of a postfix program by itself."""
    if len(program) > _LONGEST:
        raise _NotSimplifiedError
    symbols = [sympy.Symbol(name, real=True) for name in semantics.variables]
    stack: list[_Part] = []
    for code in program:
        instruction = semantics.instructions[code]
        first = len(stack) - instruction.arity
        is_variable = 1 <= code <= len(symbols)
        stack[first:] = [_Part(symbols[code - 1]) if is_variable else _applied(instruction, stack[first:])]
    return stack[0].expression


def _applied(instruction: Instruction, operands: Sequence[_Part]) -> _Part:
    """What sympy makes of one instruction that is no variable; it gets to see constants of a sane size only."""
    values = [operand.value for operand in operands if operand.value is not None]
    value = None
    if len(values) == len(operands):
        value = instruction.apply(*(values or [_NOWHERE]))
        if not value.abs() <= _LARGEST:  # NaN is not
            raise _NotSimplifiedError
        if not values:
            number = value.item()
            return _checked(_NAMED.get(number) or sympy.Rational(repr(number)), value)
    if instruction.apply is torch.pow and operands[1].value is not None and operands[1].value.abs() > _POWER:
        raise _NotSimplifiedError
    if instruction.apply not in _KNOWN:
        raise _NotSimplifiedError
    return _checked(_KNOWN[instruction.apply](*(operand.expression for operand in operands)), value)


def _checked(expression: Any, value: torch.Tensor | None) -> _Part:
    """The part, if it is real and finite, of sane numbers, and not 0 in one arithmetic alone."""
    functions = {type(function) for function in expression.atoms(sympy.Function)}
    if expression.has(sympy.I, sympy.nan, sympy.oo, -sympy.oo, sympy.zoo) or not functions <= _FUNCTIONS:
        raise _NotSimplifiedError
    if any(max(number.p.bit_length(), number.q.bit_length()) > _BITS for number in expression.atoms(sympy.Rational)):
        raise _NotSimplifiedError
    if value is not None and expression.is_zero:
        return _Part(expression, torch.zeros_like(value))
    if value is not None and value.abs() < _SMALLEST:
        raise _NotSimplifiedError
    return _Part(expression, value)


def _shortest(expression: Any) -> Any:
    """The expression, or what comes of multiplying it out, if that has fewer operations."""
    if _terms(expression) > _TERMS:
        return expression
    hints = dict.fromkeys(("basic", "log", "power_base", "power_exp"), False)  # sums are multiplied out, no more
    return min(expression, expression.expand(**hints), key=lambda form: form.count_ops())


def _terms(expression: Any) -> float:
    """At most so many terms has the sum that comes of multiplying an expression out."""
    inside = [_terms(argument) for argument in expression.args]
    if expression.is_Add:
        return sum(inside)
    if expression.is_Mul:
        return math.prod(inside)
    if expression.is_Pow and expression.exp.is_Integer and not expression.base.is_Symbol:
        power = abs(int(expression.exp))
        return inside[0] ** power if power <= _POWER else math.inf
    return max(inside, default=1)
