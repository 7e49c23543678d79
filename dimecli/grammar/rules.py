"""What a grammar file says, before it is compiled."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Nonterminal:
    """A symbol that productions rewrite; terminals are plain strings, as in nltk."""

    name: str

    def __str__(self) -> str:
        return self.name


Symbol = Nonterminal | str


@dataclass(frozen=True)
class Production:
    """`lhs -> rhs`, with its weight if the file gives one, and the line that it stands on."""

    lhs: Nonterminal
    rhs: tuple[Symbol, ...]
    weight: float | None = None
    line: int = 0

    def __str__(self) -> str:
        """In nltk's notation, without the weight."""
        return " ".join([f"{self.lhs} ->", *(quoted(symbol) for symbol in self.rhs)])


@dataclass(frozen=True)
class Constraint:
    """A directive that every derivation has to obey, such as `%nest sin 1`: its name, its words, its line."""

    name: str
    words: tuple[str, ...]
    line: int = 0

    def __str__(self) -> str:
        return " ".join([f"%{self.name}", *self.words])


@dataclass(frozen=True)
class Rules:
    """A grammar as its file says it: nothing is checked but the notation.

    Args:
        source: File or name, for messages.
        productions: In the order of the file, which numbers them.
        start: The symbol that sentences are derived from.
        max_len: Productions in the longest derivation; None leaves the choice to the compiler.
        separator: What stands between any two terminals of a sentence.
        constraints: Directives about derivations.
        notes: What an importer could not carry over, one line each.
    """

    source: str
    productions: tuple[Production, ...]
    start: Nonterminal
    max_len: int | None = None
    separator: str = ""
    constraints: tuple[Constraint, ...] = ()
    notes: tuple[str, ...] = ()


def quoted(symbol: Symbol) -> str:
    """A symbol in nltk's notation, which has no escapes: a terminal in the quotes that it does not contain."""
    if isinstance(symbol, Nonterminal):
        return symbol.name
    mark = '"' if "'" in symbol else "'"
    return f"{mark}{symbol}{mark}"
