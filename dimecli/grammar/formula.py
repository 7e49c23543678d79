"""Arithmetic that a user typed, such as `1/3 + x + sin(x*x)`, read by the machinery of grammars."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import torch

from dimecli.errors import UserError, did_you_mean
from dimecli.grammar.evaluate import evaluate
from dimecli.grammar.grammar import Grammar
from dimecli.grammar.messages import brief
from dimecli.grammar.rules import quoted
from dimecli.grammar.semantics import NUMBER, arithmetic
from dimecli.grammar.text import MAX_LENGTH

_TOKEN = re.compile(rf"(?P<name>[A-Za-z_]\w*)|(?P<number>{NUMBER.pattern})|\S")
_RULES = """
Sum -> Sum '+' Product | Sum '-' Product | Product
Product -> Product '*' Factor | Product '/' Factor | Factor
Factor -> '-' Factor | Power
Power -> Atom '**' Factor | Atom
Atom -> '(' Sum ')' | """
_LONGEST_CHAIN = 7  # productions for one token: from Sum to Atom, and the operator before it


def formula_values(formula: str, variables: Sequence[str], inputs: torch.Tensor) -> torch.Tensor:
    """`(n,)` values of a formula on n points, as `dimecli.grammar.semantics.arithmetic` defines them.

    Args:
        formula: Numbers, variables, pi, e, + - * / **, round brackets, and functions such as `sin(x)`.
        variables: Names of the v variables.
        inputs: `(v, n)` floats: one row for each variable.

    Raises:
        UserError: it is no such formula; says at which character.
    """
    known = arithmetic(())
    functions = [name.removesuffix("(") for name in known.functions]
    tokens = list(_TOKEN.finditer(formula))
    names = {*variables, *functions, *known.constants}
    for token in tokens:
        if token["name"] and token["name"] not in names:
            question = did_you_mean(token["name"], names)
            raise UserError(f"character {token.start() + 1}: '{brief(token['name'])}' is not known.{question}")
    numbers = sorted({token["number"] for token in tokens if token["number"]})
    atoms = [quoted(atom) for atom in (*variables, *numbers, *known.constants)]
    atoms += [f"'{name}' '(' Sum ')'" for name in functions]
    steps = min(MAX_LENGTH, _LONGEST_CHAIN * (len(tokens) + 1))
    grammar = Grammar.compile(_RULES + " | ".join(atoms), "formula", steps)
    semantics = replace(arithmetic(numbers), variables=tuple(variables))
    return evaluate(grammar, semantics, grammar.parse(formula)[None], inputs)[0]
