"""From production ids back to text, and to a tree for display."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from numpy.typing import NDArray

if TYPE_CHECKING:
    from dimecli.grammar.grammar import Grammar


class Tree(NamedTuple):
    """A nonterminal and what it derives, from left to right: subtrees and terminals."""

    label: str
    children: list[Tree | str]


def unparse(grammar: Grammar, ids: Sequence[int] | NDArray[Any]) -> str:
    """The sentence of one derivation.

    Raises:
        ValueError: the derivation is incomplete, or no derivation of this grammar.
    """
    row = [int(number) for number in ids]
    sentence = _Unparser(grammar)(row)
    if sentence is None:
        raise ValueError(f"{row} is no complete derivation of {grammar.rules.source}, padded with {grammar.pad}.")
    return sentence


def unparse_all(grammar: Grammar, ids: NDArray[Any]) -> list[str | None]:
    """The sentences of `(n, T)` ids; None where a derivation is incomplete or is followed by more than padding."""
    unparser = _Unparser(grammar)
    return [unparser(row) for row in ids.tolist()]


class _Unparser:
    """Rewrites the leftmost nonterminal; what is still to come is a stack of nonterminals and terminals."""

    def __init__(self, grammar: Grammar) -> None:
        self.grammar = grammar
        self.lhs = [*grammar.lhs.tolist(), None]  # nothing is rewritten by padding
        self.reversed_rhs: list[list[int | str]] = [
            [symbol if isinstance(symbol, str) else grammar.number[symbol.name] for symbol in reversed(production.rhs)]
            for production in grammar.productions
        ]

    def __call__(self, ids: Sequence[int]) -> str | None:
        pad, lhs, reversed_rhs = self.grammar.pad, self.lhs, self.reversed_rhs
        pending: list[int | str] = [self.grammar.start]
        terminals: list[str] = []
        for place, production in enumerate(ids):
            if not pending:
                return self.grammar.rules.separator.join(terminals) if set(ids[place:]) == {pad} else None
            if not 0 <= production < pad or lhs[production] != pending.pop():
                return None
            pending += reversed_rhs[production]
            while pending and isinstance(terminal := pending[-1], str):
                terminals.append(terminal)
                pending.pop()
        return None if pending else self.grammar.rules.separator.join(terminals)


def tree(grammar: Grammar, ids: Sequence[int] | NDArray[Any]) -> Tree:
    """The derivation tree of one complete derivation.

    Raises:
        ValueError: as `unparse`.
    """
    unparse(grammar, ids)
    root = Tree(grammar.nonterminals[grammar.start], [])
    pending = [root]
    for production in ids:
        if production == grammar.pad:
            break
        children = pending.pop().children
        for symbol in grammar.productions[production].rhs:
            children.append(symbol if isinstance(symbol, str) else Tree(symbol.name, []))
        pending += [child for child in reversed(children) if isinstance(child, Tree)]
    return root
