"""Context-free grammars: compiled once into tables, then counted, sampled, parsed, decoded and evaluated."""

from dimecli.grammar.grammar import Grammar

__all__ = ["Grammar"]
