"""From derivations to postfix programs, a whole batch at once."""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum
from typing import Any, Literal, NamedTuple

import torch

from dimecli.grammar.grammar import Grammar
from dimecli.grammar.rules import Nonterminal, Symbol
from dimecli.grammar.semantics import Semantics

Meaning = Literal["string", "tree"]


def programs(grammar: Grammar, semantics: Semantics, ids: Any, meaning: Meaning = "string") -> torch.Tensor:
    """`(B, L)` postfix programs of `(B, T)` derivations: places in `semantics.instructions`, then -1.

    A row that is no complete derivation has the program NaN.

    Args:
        grammar: What the derivations are of.
        semantics: What its terminals mean.
        ids: Production ids, a numpy array or a tensor; the programs are made on its device.
        meaning: `string` reads the sentence by precedence; `tree` reads it as derived: as if what
            each nonterminal stands for, operators apart, were in brackets.

    Raises:
        ValueError: a terminal has no meaning, or a sentence is no expression.
    """
    if unknown := [terminal for terminal in grammar.terminals if terminal not in semantics.terminals]:
        raise ValueError(f"terminals without a meaning: {', '.join(map(repr, unknown))}")
    ids = torch.as_tensor(ids).long()
    codes, complete, read = _Machine(grammar, semantics, meaning, ids.device).run(ids)
    if (wrong := (complete & ~read).nonzero()).numel():
        row = int(wrong[0, 0])
        sentence = grammar.unparse_all(ids[row : row + 1].cpu().numpy())[0]
        raise ValueError(f"row {row} is no expression, read as its {meaning}: '{sentence}'")
    nan = torch.full_like(codes, -1)
    nan[:, 0] = 0
    return torch.where(complete, codes, nan)


class _Kind(IntEnum):
    WRONG, END, EXPAND, REDUCE, OPERAND, CLOSE, OPEN, PREFIX, INFIX = range(9)


class _Role(NamedTuple):
    """What a symbol does when it is next."""

    kind: _Kind
    code: int = -1  # the instruction that it stands for
    precedence: int = 0  # of an operator that waits for its last operand
    yields: int = 1000  # it waits until all operators of at least this precedence are applied


def _roles(semantics: Semantics) -> tuple[dict[str, _Role], dict[str, _Role]]:
    """The roles of terminals where an operand is due, and where one has just ended."""
    before, after = {}, {}
    code = 0  # in the order of `semantics.instructions`, in which NaN is first
    for name in [*semantics.variables, *semantics.constants]:
        before[name] = _Role(_Kind.OPERAND, code := code + 1)
    for name in semantics.functions:
        before[name] = _Role(_Kind.OPEN, code := code + 1)
    for name, prefix in semantics.prefixes.items():
        before[name] = _Role(_Kind.PREFIX, code := code + 1, 2 * prefix.precedence)
    for name, infix in semantics.infixes.items():
        after[name] = _Role(_Kind.INFIX, code := code + 1, 2 * infix.precedence, 2 * infix.precedence + infix.right)
    before |= dict.fromkeys(semantics.opening, _Role(_Kind.OPEN))
    after |= dict.fromkeys(semantics.closing, _Role(_Kind.CLOSE, yields=1))
    return before, after


def _bracketed(grammar: Grammar, semantics: Semantics) -> list[tuple[Symbol, ...]]:
    """Right-hand sides with brackets around the nonterminals, where there is more than one thing in them.

    A nonterminal that only stands for operators has none.
    """
    opening, closing = min(semantics.opening), min(semantics.closing)
    brackets = semantics.functions.keys() | semantics.opening | semantics.closing
    operators: set[Symbol] = {*semantics.prefixes, *semantics.infixes}
    for _ in grammar.nonterminals:  # one may stand for another
        for name, productions in zip(grammar.nonterminals, grammar.by_lhs, strict=True):
            sides = [grammar.productions[production].rhs for production in productions]
            if all(len(side) == 1 and side[0] in operators for side in sides):
                operators.add(Nonterminal(name))

    def side(rhs: tuple[Symbol, ...]) -> Iterator[Symbol]:
        several = sum(symbol not in brackets for symbol in rhs) > 1
        for symbol in rhs:
            value = isinstance(symbol, Nonterminal) and symbol not in operators
            yield from (opening, symbol, closing) if several and value else (symbol,)

    return [tuple(side(production.rhs)) for production in grammar.productions]


class _Machine:
    """Derivation by a stack of symbols and Dijkstra's operator-precedence algorithm (1961), in lockstep.

    Symbols are the terminals and the brackets that `tree` adds, then the end of the sentence (`end`),
    then the nonterminals. Tables about roles have one row for each symbol where an operand is due, and then
    one for each where an operand has just ended.
    """

    def __init__(self, grammar: Grammar, semantics: Semantics, meaning: Meaning, device: torch.device) -> None:
        sides = [production.rhs for production in grammar.productions]
        if meaning == "tree":
            sides = _bracketed(grammar, semantics)
        names = list(dict.fromkeys(symbol for side in sides for symbol in side if isinstance(symbol, str)))
        self.end, self.pad = len(names), grammar.pad
        number: dict[Symbol, int] = {name: place for place, name in enumerate(names)}
        number |= {Nonterminal(name): self.end + 1 + place for name, place in grammar.number.items()}
        rhs = [[number[symbol] for symbol in side] for side in sides]
        self.size = torch.tensor([*map(len, rhs), 0], device=device)
        width = max(1, *map(len, rhs))
        self.reversed = torch.tensor([row[::-1] + [0] * (width - len(row)) for row in [*rhs, []]], device=device)
        self.lhs = torch.tensor([*grammar.lhs.tolist(), -1], device=device) + self.end + 1
        expand = [_Role(_Kind.EXPAND)] * len(grammar.nonterminals)
        wrong = _Role(_Kind.WRONG)
        before, after = _roles(semantics)
        roles = [*(before.get(name, wrong) for name in names), wrong, *expand]
        self.symbols = len(roles)
        roles += [*(after.get(name, wrong) for name in names), _Role(_Kind.END, yields=1), *expand]
        self.kind, self.code, self.precedence, self.yields = torch.tensor(roles, device=device).T.contiguous()

    def run(self, ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """`(B, L)` programs, `(B, 1)` which derivations are complete, `(B, 1)` which could be read to their end."""
        rows, steps = ids.shape
        width = self.reversed.shape[1]
        ids = torch.nn.functional.pad(ids, (0, 1), value=self.pad)
        symbols = ids.new_full((rows, 3 + (steps + 1) * width), self.end)  # a stack; at its bottom the end
        symbols[:, 1] = self.end + 1
        operators = torch.full_like(symbols, self.symbols + self.end)  # a stack of those that wait
        codes = torch.full_like(symbols, -1)
        above = torch.arange(width, device=ids.device)
        top = ids.new_ones(rows, 1)
        cursor, high, length, ended = torch.zeros(4, rows, 1, dtype=torch.long, device=ids.device)
        while True:
            symbol = symbols.gather(1, top)
            role = ended * self.symbols + symbol
            waiting = operators.gather(1, high)
            production = ids.gather(1, cursor)
            kind = self._next(symbol, role, waiting, production)
            if (kind <= _Kind.END).all():
                break
            expand, operand, close = kind == _Kind.EXPAND, kind == _Kind.OPERAND, kind == _Kind.CLOSE
            applies, waits = (kind == _Kind.REDUCE) | close, kind >= _Kind.OPEN

            code = self.code[torch.where(applies, waiting, role)]
            codes.scatter_(1, length, code)
            length += (applies | operand) & (code >= 0)
            operators.scatter_(1, high + 1, role)
            high += waits.long() - applies.long()
            symbols.scatter_(1, top + ~expand + above, self.reversed[production[:, 0]])
            top += torch.where(expand, self.size[production], 0) - (kind >= _Kind.OPERAND).long() - expand.long()
            cursor += expand
            ended = torch.where(operand | close, 1, torch.where(waits, 0, ended))
        codes.scatter_(1, length, -1)
        used = (codes >= 0).any(0).sum()
        return codes[:, : max(1, int(used))], symbol <= self.end, kind == _Kind.END

    def _next(
        self, symbol: torch.Tensor, role: torch.Tensor, waiting: torch.Tensor, production: torch.Tensor
    ) -> torch.Tensor:
        """`(B, 1)` kinds of the next moves."""
        kind, below = self.kind[role], self.kind[waiting]
        wrong = (kind == _Kind.EXPAND) & (self.lhs[production] != symbol)
        wrong |= (kind == _Kind.CLOSE) & (below != _Kind.OPEN)
        wrong |= (kind == _Kind.END) & (below != _Kind.END)
        kind = torch.where(wrong, _Kind.WRONG, kind)
        return torch.where(self.precedence[waiting] >= self.yields[role], _Kind.REDUCE, kind)
