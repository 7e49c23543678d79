"""From what a file says to a grammar in force."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from dimecli.grammar.grammar import Grammar
from dimecli.grammar.rules import Rules

if TYPE_CHECKING:
    from numpy.typing import NDArray


def compile_rules(rules: Rules, max_len: int | None = None) -> Grammar:
    """First version: no checks."""
    names = dict.fromkeys([rules.start.name, *(production.lhs.name for production in rules.productions)])
    return Grammar(rules, rules.productions, tuple(names), max_len or rules.max_len or 30)


def shortest(lhs: NDArray[np.int64], children: Sequence[Sequence[int]], nonterminals: int) -> NDArray[np.int64]:
    """`(N,)` productions in the shortest derivation from each nonterminal; a large number where there is none."""
    lengths = np.full(nonterminals, 2**40)
    changed = True
    while changed:
        changed = False
        for number, below in zip(lhs, children, strict=True):
            length = 1 + sum(int(lengths[child]) for child in below)
            if length < lengths[number]:
                lengths[number], changed = length, True
    return lengths
