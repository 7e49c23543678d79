"""Likelihoods of sentences: categorical over the productions of a derivation, or over characters."""

from __future__ import annotations

from typing import Literal

from dimecli.data.likelihood import Likelihood
from dimecli.grammar.grammar import Grammar, compiled
from dimecli.lazy import torch


class Sentences(Likelihood):
    """Sentences of a grammar, `(B, T)` symbol ids; the last of the V symbols is the padding."""

    grammar: str  # canonical text, so that a run needs no file but its own

    @property
    def compiled(self) -> Grammar:
        """The grammar, compiled once in a process."""
        return compiled(self.grammar)


class Productions(Sentences):
    """Categorical over the productions of a leftmost derivation, masked by the left-hand side to rewrite."""

    name: Literal["productions"] = "productions"
    reserve: bool = True


class Characters(Sentences):
    """Categorical over the characters of a sentence."""

    name: Literal["characters"] = "characters"
