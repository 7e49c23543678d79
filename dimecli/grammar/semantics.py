"""What the terminals of a grammar mean, so that its sentences can be evaluated."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from operator import itemgetter

import torch


@dataclass(frozen=True)
class Infix:
    """An operator between two operands; of two, the one of higher precedence (at least 1) is applied first."""

    apply: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    precedence: int
    right: bool = False
    """Whether a row of them groups to the right, as powers do."""


@dataclass(frozen=True)
class Prefix:
    """An operator before its operand; it takes in the infix operators of higher precedence that follow."""

    apply: Callable[[torch.Tensor], torch.Tensor]
    precedence: int


@dataclass(frozen=True)
class Instruction:
    """One step of a postfix program: `apply` gets the last `arity` results, or where that is 0 the inputs."""

    arity: int
    apply: Callable[..., torch.Tensor]


@dataclass(frozen=True, eq=False)
class Semantics:
    """The role of every terminal. A sentence is read as arithmetic usually is, by precedence and brackets.

    A terminal may be a prefix and an infix operator at once, as the minus sign is: its place decides.
    Operators and functions work element by element on float tensors; a boolean is 0 or 1.

    Args:
        variables: Terminals that stand for the rows of the inputs, in this order.
        constants: Terminals that stand for numbers.
        functions: Terminals that open a bracket and apply to what it holds, such as `sin(`.
        prefixes: Operators before their operand.
        infixes: Operators between their operands.
        opening: Terminals that open a bracket, and no more.
        closing: Terminals that close any bracket.
    """

    variables: tuple[str, ...] = ()
    constants: Mapping[str, float] = field(default_factory=dict)
    functions: Mapping[str, Callable[[torch.Tensor], torch.Tensor]] = field(default_factory=dict)
    prefixes: Mapping[str, Prefix] = field(default_factory=dict)
    infixes: Mapping[str, Infix] = field(default_factory=dict)
    opening: frozenset[str] = frozenset("(")
    closing: frozenset[str] = frozenset(")")

    @cached_property
    def terminals(self) -> frozenset[str]:
        """Every terminal that has a meaning."""
        roles = (self.constants, self.functions, self.prefixes, self.infixes, self.opening, self.closing)
        return frozenset(self.variables).union(*roles)

    @cached_property
    def instructions(self) -> tuple[Instruction, ...]:
        """What programs are made of; their codes are places in this list. Number 0 is NaN."""
        return (
            Instruction(0, partial(_constant, math.nan)),
            *(Instruction(0, itemgetter(row)) for row in range(len(self.variables))),
            *(Instruction(0, partial(_constant, number)) for number in self.constants.values()),
            *(Instruction(1, function) for function in self.functions.values()),
            *(Instruction(1, prefix.apply) for prefix in self.prefixes.values()),
            *(Instruction(2, infix.apply) for infix in self.infixes.values()),
        )


def _constant(number: float, inputs: torch.Tensor) -> torch.Tensor:
    return inputs.new_full(inputs.shape[1:], number)


NUMBER = re.compile(r"(\d+\.?\d*|\.\d+)(e[+-]?\d+)?")
_NAME = re.compile(r"[A-Za-z_]\w*")
_CONSTANTS = {"pi": math.pi, "e": math.e}
_FUNCTIONS = {
    "abs": torch.abs,
    "cos": torch.cos,
    "exp": torch.exp,
    "log": torch.log,
    "sin": torch.sin,
    "sqrt": torch.sqrt,
    "tan": torch.tan,
    "tanh": torch.tanh,
}
_MINUS = Prefix(torch.neg, 3)
_INFIXES = {
    "+": Infix(torch.add, 1),
    "-": Infix(torch.sub, 1),
    "*": Infix(torch.mul, 2),
    "/": Infix(torch.div, 2),
    "**": Infix(torch.pow, 4, right=True),
}


def arithmetic(terminals: Iterable[str]) -> Semantics:
    """Python's arithmetic on floats, for a grammar with these terminals.

    It knows numbers, `pi` and `e`, the operators + - * / ** with Python's precedence, round brackets,
    and abs, cos, exp, log, sin, sqrt, tan, tanh, with the bracket in the terminal (`sin(`) or after it.
    Every other name is a variable; they are numbered in alphabetical order. Any other terminal has no
    meaning. Results are those of IEEE 754, as numpy has them: 1/0 is infinite, sqrt(-1) NaN.
    """
    given = sorted(set(terminals))
    numbers = {name: float(name) for name in given if NUMBER.fullmatch(name)}
    known = _CONSTANTS.keys() | _FUNCTIONS.keys()
    return Semantics(
        variables=tuple(name for name in given if _NAME.fullmatch(name) and name not in known),
        constants=numbers | _CONSTANTS,
        functions={f"{name}(": function for name, function in _FUNCTIONS.items()},
        prefixes={"-": _MINUS} | {name: Prefix(function, 5) for name, function in _FUNCTIONS.items()},
        infixes=_INFIXES,
    )
