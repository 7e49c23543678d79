"""Univariate arithmetic expressions: the grammar and the data of GrammarVAE."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from dimecli.plugin import Language

if TYPE_CHECKING:
    from dimecli.grammar.semantics import Semantics


def published() -> list[str]:
    """GrammarVAE's 100,000 expressions in its order: the first ones of 122,880 of the form A+B+C.

    Counted from 0, row 99,908 is the target of its task, `1/3+(x)+sin(x*x)`.
    """
    leaves = ("x", "1", "2", "3")
    pairs = [f"{left}{sign}{right}" for sign in "+*/" for left in leaves for right in leaves]
    wrapped = [[f"{head}{body})" for body in (*pairs, *leaves)] for head in ("(", "sin(", "exp(")]
    middle = [body for bodies in wrapped for body in bodies[len(pairs) :]]
    last = [body for bodies in wrapped for body in bodies]
    parts = itertools.product(pairs, [*middle, *leaves], [*last, *leaves])
    return ["+".join(part) for part in itertools.islice(parts, 100_000)]


class Expressions(Language):
    """Expressions in x over + * /, sin, exp and the constants 1, 2, 3 (GrammarVAE, Kusner et al., 2017)."""

    sources = {"gvae": published}
    problem = "expression-regression"

    def semantics(self) -> Semantics:
        """Python's arithmetic."""
        from dimecli.grammar.grammar import compiled
        from dimecli.grammar.semantics import arithmetic

        return arithmetic(compiled(self.text()).terminals)
