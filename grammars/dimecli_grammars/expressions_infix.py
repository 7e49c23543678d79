"""Univariate arithmetic expressions with precedence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dimecli.plugin import Language

if TYPE_CHECKING:
    from dimecli.grammar.semantics import Semantics


class ExpressionsInfix(Language):
    """Expressions in x with precedence, powers, constants, five functions: tree and string agree."""

    problem = "expression-regression"

    def semantics(self) -> Semantics:
        """Python's arithmetic."""
        from dimecli.grammar.grammar import compiled
        from dimecli.grammar.semantics import arithmetic

        return arithmetic(compiled(self.text()).terminals)
