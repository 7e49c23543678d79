"""Constraints compiled into a grammar, so that its tables know nothing of them and stay exact.

Each directive (`dimecli.grammar.directives`) is an automaton, and the grammar's product with them
(`dimecli.grammar.product`) is a grammar again. Each derivation that obeys has exactly one counterpart,
of the same length, so counts stay exact and an unambiguous grammar stays unambiguous.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dimecli.errors import UserError
from dimecli.grammar.directives import automaton
from dimecli.grammar.grammar import Grammar
from dimecli.grammar.product import MOST_PRODUCTIONS, Product
from dimecli.grammar.rules import Constraint, Nonterminal, Production


def constrain(grammar: Grammar) -> Grammar:
    """The grammar whose derivations are those of `grammar` that obey its `rules.constraints`.

    Combinations that no derivation of at most `max_len` productions uses are left out. The copies of a
    nonterminal A are called A, A^1, A^2 ...

    Args:
        grammar: One compiled without them; it becomes the result's `base`, and its rules lose them.

    Raises:
        UserError: a directive is malformed, leaves no sentence of at most `max_len` productions, or makes
            more than `MOST_PRODUCTIONS` productions; the message names directive and line.
    """
    product = _product(grammar)
    names = _names(product.symbol, grammar)
    productions = tuple(
        _copy(grammar.productions[origin], names[lhs], [names[child] for child in children])
        for origin, lhs, children in zip(product.origin, product.lhs, product.children, strict=True)
    )
    growth = (
        f"constraints: {len(grammar.nonterminals)} nonterminals and {grammar.pad} productions "
        f"became {len(names)} and {len(productions)}"
    )
    return replace(
        grammar,
        productions=productions,
        nonterminals=tuple(names),
        origin=np.array(product.origin),
        base=replace(grammar, rules=replace(grammar.rules, constraints=())),
        notes=(*grammar.notes, growth),
    )


def _product(grammar: Grammar) -> Product:
    """The product with the automata of all constraints, one after another."""
    constraints = grammar.rules.constraints
    automata = [automaton(constraint, grammar) for constraint in constraints]
    product = Product(
        list(range(len(grammar.nonterminals))), grammar.lhs.tolist(), list(range(grammar.pad)), list(grammar.children)
    )
    for number, condition in enumerate(automata):
        product = product.intersect(condition)
        if len(product.lhs) > MOST_PRODUCTIONS:
            reason = f"makes more than {MOST_PRODUCTIONS:,} productions; smaller numbers make fewer"
            raise _refusal(grammar, constraints[: number + 1], reason)
        product = product.trim(grammar.max_len)
        if not product.lhs:
            reason = f"no sentence of at most {grammar.max_len} productions obeys it"
            raise _refusal(grammar, constraints[: number + 1], reason)
    return product


def _names(symbols: Sequence[int], grammar: Grammar) -> list[str]:
    """A name of its own for each copy of a nonterminal, in nltk's notation."""
    mark = "^"
    while any(mark in name for name in grammar.nonterminals):
        mark += "^"
    copies = [0] * len(grammar.nonterminals)
    names = []
    for symbol in symbols:
        names.append(grammar.nonterminals[symbol] + (f"{mark}{copies[symbol]}" if copies[symbol] else ""))
        copies[symbol] += 1
    return names


def _copy(production: Production, lhs: str, children: Sequence[str]) -> Production:
    """A production with other nonterminals."""
    left = iter(children)
    rhs = tuple(symbol if isinstance(symbol, str) else Nonterminal(next(left)) for symbol in production.rhs)
    return replace(production, lhs=Nonterminal(lhs), rhs=rhs)


def _refusal(grammar: Grammar, constraints: Sequence[Constraint], reason: str) -> UserError:
    """The error of the last of these constraints, which was too much."""
    *others, last = constraints
    together = "".join(f" with {other} (line {other.line})" for other in others)
    return UserError(f"{grammar.rules.source}:{last.line}: {last}{together}: {reason}")


def lift(grammar: Grammar, base_ids: Sequence[int] | NDArray[Any]) -> NDArray[np.int16]:
    """`(T,)` ids in a constrained grammar of a derivation in its `base`; `grammar.origin` maps them back.

    Args:
        grammar: What `constrain` returned.
        base_ids: `(n,)` ids of a complete derivation of at most `max_len` productions, padded or not.

    Raises:
        ParseError: it violates a constraint; the message says which.
    """
    return _lifter(grammar)(np.asarray(base_ids).tolist())


@lru_cache(maxsize=16)
def _lifter(grammar: Grammar) -> _Lifter:
    return _Lifter(grammar)


class _Lifter:
    """The constrained grammar as a tree automaton that reads base derivations from the leaves up.

    What it knows of a subtree is the set of nonterminals that derive it. `steps` maps a base production
    and those of its children to that of the whole and, for each nonterminal in it, its one production;
    it is filled on the way.
    """

    def __init__(self, grammar: Grammar) -> None:
        if grammar.base is None:
            raise ValueError("The grammar must be one with constraints.")
        self.grammar, self.base = grammar, grammar.base
        self.copies: list[list[int]] = [[] for _ in self.base.productions]
        for production, origin in enumerate(grammar.origin.tolist()):
            self.copies[origin].append(production)
        self.steps: dict[tuple[Any, ...], tuple[frozenset[int], dict[int, int]]] = {}

    def __call__(self, ids: list[int]) -> NDArray[np.int16]:
        """`(T,)` ids of a base derivation."""
        if self.base.pad in ids:
            ids = ids[: ids.index(self.base.pad)]
        subtrees: list[frozenset[int]] = []
        choices = []
        base_children, children = self.base.children, self.grammar.children
        for production in reversed(ids):  # children come before their parent, the first of them last
            key = (production, *(subtrees.pop() for _ in base_children[production]))
            able, choice = self.steps.get(key) or self._step(key)
            subtrees.append(able)
            choices.append(choice)
        if self.grammar.start not in choices[-1]:
            raise self._violation(ids)
        lifted, todo = [], [self.grammar.start]
        for choice in reversed(choices):
            lifted.append(choice[todo.pop()])
            todo += reversed(children[lifted[-1]])
        return np.array(lifted + [self.grammar.pad] * (self.grammar.max_len - len(lifted)), dtype=np.int16)

    def _step(self, key: tuple[Any, ...]) -> tuple[frozenset[int], dict[int, int]]:
        origin, *below = key
        children = self.grammar.children
        fitting = [
            copy
            for copy in self.copies[origin]
            if all(child in able for child, able in zip(children[copy], below, strict=True))
        ]
        choice = {int(self.grammar.lhs[copy]): copy for copy in fitting}
        self.steps[key] = frozenset(choice), choice
        return self.steps[key]

    def _violation(self, ids: list[int]) -> Exception:
        from dimecli.grammar.parse import ParseError

        rules = self.grammar.rules
        for constraint in rules.constraints:
            if not automaton(constraint, self.base).holds(self.base, ids):
                return ParseError(f"violates {constraint} ({rules.source}:{constraint.line})")
        return ValueError("The ids must be a derivation of the grammar without constraints.")
