"""The constraint directives of a grammar file: which derivations each of them allows.

    %nest sin 1         no sin has more than 1 other above it: sin(sin(x)) is allowed, sin(sin(sin(x))) is not
    %forbid exp in log  no exp below a log, however deep
    %forbid exp         no exp at all
    %require x          x occurs
    %limit '/' 2        / occurs at most twice

`%nest f k` is PySR's nested constraint of f in itself: `%nest f 0` and `%forbid f in f` say the same.
A number is at least 0. Every directive holds for the whole sentence, all of them together.

*Symbols.* A word in quotes is the terminal of exactly that spelling. A bare word is the terminal or
the nonterminal of that name, or the terminal that begins with it and an opening bracket: `sin` is
'sin(' where there is no other such terminal. A terminal occurs wherever it stands on a right-hand
side; a nonterminal occurs wherever it is rewritten.

*Below.* What derives from the nonterminals on the right-hand side of a production is below the
production, hence below all its terminals, and below its left-hand side. So both operands of an
infix operator are below it: of S -> S '/' T, in a/b/c, the first / is below the second.

Each directive is a deterministic condition on trees, written as an automaton that runs from the root
down: from a state and a production to one state for each child, in one way, in several or in none.
Of several at most one fits a given tree, so that derivations stay in one-to-one correspondence.
"Children" are here only those from which the symbol can derive; no other can break the condition.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import inf

from dimecli.errors import UserError, did_you_mean
from dimecli.grammar.grammar import Grammar
from dimecli.grammar.rules import Constraint, Nonterminal, Symbol, quoted

FORMS = {
    "nest": "%nest SYMBOL NUMBER",
    "forbid": "%forbid SYMBOL or %forbid SYMBOL in SYMBOL",
    "require": "%require SYMBOL",
    "limit": "%limit SYMBOL NUMBER",
}
"""How each directive is written."""

Bounds = tuple[int, float]
"""The least and the greatest number; the latter may be infinite."""


@dataclass(frozen=True)
class Nesting:
    """At most `most` productions that use one symbol are above any that uses another.

    The state of a nonterminal is the number of the former above it, of which more than `most` count alike.

    Args:
        uses: `(P,)` occurrences of the inner symbol in each production.
        outer: `(P,)` occurrences of the outer one.
        most: How often.
    """

    uses: tuple[int, ...]
    outer: tuple[int, ...]
    most: int
    start: int = 0

    def split(self, above: int, production: int, children: int) -> Iterator[tuple[int, ...]]:
        """The states of the children, unless the production may not stand there."""
        if not self.uses[production] or above <= self.most:
            yield (min(above + bool(self.outer[production]), self.most + 1),) * children

    def holds(self, grammar: Grammar, ids: Sequence[int]) -> bool:
        """Whether a complete derivation of `grammar` obeys."""
        states = [self.start]
        for production in ids:
            below = next(self.split(states.pop(), production, len(grammar.children[production])), None)
            if below is None:
                return False
            states += below
        return True


@dataclass(frozen=True)
class Count:
    """A symbol occurs at least and at most as often as `start` says.

    The state of a nonterminal is the same pair of bounds, for what derives from it.

    Args:
        uses: `(P,)` occurrences of the symbol in each production.
        start: The bounds of a sentence.
    """

    uses: tuple[int, ...]
    start: Bounds

    def split(self, bounds: Bounds, production: int, children: int) -> Iterator[tuple[Bounds, ...]]:
        """The bounds of the children, in every way that makes up those of their parent; no two ways overlap."""
        own = self.uses[production]
        least, most = max(bounds[0] - own, 0), bounds[1] - own
        if children == 0 and least == 0 and most >= 0:
            yield ()
        todo: list[tuple[tuple[Bounds, ...], Bounds]] = [((), (least, most))] if children and most >= 0 else []
        while todo:
            first, rest = todo.pop()
            if len(first) == children - 1:
                yield (*first, rest)
            else:
                todo += [((*first, share), left) for share, left in reversed(list(_shares(*rest)))]

    def holds(self, grammar: Grammar, ids: Sequence[int]) -> bool:
        """Whether a complete derivation of `grammar` obeys."""
        least, most = self.start
        return least <= sum(self.uses[production] for production in ids) <= most


def _shares(least: int, most: float) -> Iterator[tuple[Bounds, Bounds]]:
    """What one child may have of a total between `least` and `most`, and what that leaves to the others."""
    for exactly in range(least if most == inf else int(most) + 1):
        yield (exactly, exactly), (max(least - exactly, 0), most - exactly)
    if most == inf:
        yield (least, inf), (0, inf)


def automaton(constraint: Constraint, grammar: Grammar) -> Nesting | Count:
    """What a directive means for the productions of a grammar without constraints.

    Raises:
        UserError: there is no such directive, symbol or number; the message names the line.
    """
    where = f"{grammar.rules.source}:{constraint.line}: {constraint}"
    match constraint.name, constraint.words:
        case "nest", (symbol, number):
            uses = _uses(symbol, grammar, where)
            return Nesting(uses, uses, min(_number(number, where), grammar.max_len))
        case "forbid", (inner, "in", outer):
            return Nesting(_uses(inner, grammar, where), _uses(outer, grammar, where), 0)
        case "forbid", (symbol,):
            return Count(_uses(symbol, grammar, where), (0, 0))
        case "require", (symbol,):
            return Count(_uses(symbol, grammar, where), (1, inf))
        case "limit", (symbol, number):
            uses, most = _uses(symbol, grammar, where), _number(number, where)
            return Count(uses, (0, most if most < max(uses) * grammar.max_len else inf))
    if constraint.name not in FORMS:
        raise UserError(f"{where}: no such directive.{did_you_mean(constraint.name, FORMS)}")
    raise UserError(f"{where}: write {FORMS[constraint.name]}")


def _number(word: str, where: str) -> int:
    if not re.fullmatch("[0-9]{1,6}", word):
        raise UserError(f"{where}: '{word}' is not a number from 0 to 999999")
    return int(word)


def _uses(word: str, grammar: Grammar, where: str) -> tuple[int, ...]:
    """`(P,)`: how often the symbol that a word names occurs in each production."""
    symbol = _symbol(word, grammar, where)
    if isinstance(symbol, Nonterminal):
        return tuple(int(production.lhs == symbol) for production in grammar.productions)
    return tuple(production.rhs.count(symbol) for production in grammar.productions)


def _symbol(word: str, grammar: Grammar, where: str) -> Symbol:
    """The symbol that a word of a directive names."""
    bare = not (len(word) > 2 and word[0] == word[-1] and word[0] in "'\"")
    name = word if bare else word[1:-1]
    meanings: dict[str, list[Symbol]] = {}
    for terminal in grammar.terminals if bare else ():
        if function := re.match(r"[^(\[{]+(?=[(\[{])", terminal):
            meanings.setdefault(function[0], []).append(terminal)
    meanings |= {terminal: [terminal] for terminal in grammar.terminals}
    for nonterminal in grammar.nonterminals if bare else ():
        meanings.setdefault(nonterminal, []).append(Nonterminal(nonterminal))
    if name not in meanings:
        raise UserError(f"{where}: no symbol {word}.{did_you_mean(name, meanings)}")
    if len(meanings[name]) > 1:
        several = ", ".join(quoted(symbol) for symbol in meanings[name])
        raise UserError(f"{where}: {word} may mean any of {several}; write a terminal in quotes, in full")
    return meanings[name][0]
