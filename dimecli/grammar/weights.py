"""Weights of productions: estimated, and put into a grammar."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from dimecli.grammar.compile import compile_rules

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dimecli.grammar.grammar import Grammar


def estimate_weights(grammar: Grammar, ids: NDArray[Any], alpha: float = 1.0) -> NDArray[np.float64]:
    """`(P,)` weights under which `(n, T)` derivations are most probable, `alpha > 0` added to each count.

    Of a grammar with constraints: those of the productions without them, as `with_weights` takes them.
    """
    base = grammar.base or grammar
    used = np.bincount(grammar.origin[ids[ids != grammar.pad]], minlength=base.pad) + alpha
    return used / np.bincount(base.lhs, used)[base.lhs]


def with_weights(grammar: Grammar, weights: NDArray[np.float64]) -> Grammar:
    """The grammar with `(P,)` other weights of its productions, or, if it has constraints, of those without them.

    Raises:
        ValueError: there are more or fewer, or they are not above 0.
    """
    if not (weights > 0).all():
        raise ValueError("weights must be above 0: without a production it is another grammar")
    productions = (grammar.base or grammar).productions
    weighted = tuple(replace(p, weight=w) for p, w in zip(productions, weights.tolist(), strict=True))
    return compile_rules(replace(grammar.rules, productions=weighted), grammar.max_len)
