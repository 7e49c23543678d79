"""Univariate arithmetic expressions, GrammarVAE's grammar."""

from __future__ import annotations

from dimecli.plugin import Language


class Expressions(Language):
    """Expressions in x over + * /, sin, exp and the constants 1, 2, 3 (GrammarVAE, Kusner et al., 2017)."""
