"""From right-hand sides with operators to plain productions."""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from dimecli.grammar.messages import brief, mistake
from dimecli.grammar.rules import Nonterminal, Production, Rules, Symbol
from dimecli.grammar.text import MAX_SYMBOLS, UNPRINTABLE, refuse_long, refuse_many


@dataclass(frozen=True)
class Text:
    """Characters as they stand in a sentence."""

    text: str


@dataclass(frozen=True)
class Name:
    """A nonterminal, in the letters of its file."""

    name: str


@dataclass(frozen=True)
class Series:
    """One part after the other; none is the empty sentence."""

    parts: tuple[Node, ...]


@dataclass(frozen=True)
class Choice:
    """One of several options; `kind` names the nonterminal that it may become."""

    options: tuple[Node, ...]
    kind: str = "group"


@dataclass(frozen=True)
class Repeat:
    """A part from `low` to `high` times; None is without end."""

    part: Node
    low: int
    high: int | None

    @property
    def kind(self) -> str:
        """What the nonterminal is called."""
        return "repeat" if self.high is None else "option" if self.high == 1 else f"upto{self.high}-"


Node = Text | Name | Series | Choice | Repeat


@dataclass(frozen=True)
class Definition:
    """A name, what it stands for, and the line that says so."""

    name: str
    node: Node
    line: int


def expand(
    definitions: Sequence[Definition], source: str, start: str | None = None, notes: tuple[str, ...] = ()
) -> Rules:
    """Plain productions with the same sentences.

    A choice within a right-hand side, an option and a repetition become nonterminals named after the
    rule where they occur first: `list/group1`, `list/option2`, `list/repeat3`, `list/class4` for a class
    of characters. Repetitions are right-recursive, which is unambiguous where the part is.

    Args:
        definitions: What the file says; several of one name add up.
        source: File or name, for messages.
        start: The symbol that sentences are derived from; None is the first that is defined.
        notes: What the rules do not say of the file.

    Raises:
        UserError: more symbols or productions than a grammar may have, or a terminal that is not printable.
    """
    expansion = _Expansion(source, readable(name for d in definitions for name in (d.name, *_names(d.node))))
    for definition in definitions:
        expansion.add(definition)
    first = expansion.names.get(start or definitions[0].name, start or "")
    return Rules(source, tuple(expansion.productions), Nonterminal(first), notes=notes)


def readable(names: Iterable[str]) -> dict[str, str]:
    """Names in nltk's letters, without the slash that marks made ones; distinct where the originals are."""
    found: dict[str, str] = {}
    taken: set[str] = set()
    numbers: Counter[str] = Counter()
    for name in dict.fromkeys(names):
        plain = re.sub(r"[^\w-]", "_", name)
        plain = plain if re.match(r"\w", plain) else f"_{plain}"
        unique = plain
        while unique in taken:
            numbers[plain] += 1
            unique = f"{plain}_{numbers[plain] + 1}"
        taken.add(unique)
        found[name] = unique
    return found


def terminals(text: str) -> tuple[str, ...]:
    """The terminals that a text is written as: none if it is empty, several if it has both quote marks.

    Raises:
        ValueError: it contains a line break or another control character.
    """
    if found := UNPRINTABLE.search(text):
        raise ValueError(f"a terminal must be printable and on one line. Got {found[0]!r} in {brief(repr(text))}.")
    return tuple(re.findall(r"""[^'"]*'[^"]*|[^'"]*"[^']*|[^'"]+""", text))


def _names(node: Node) -> Iterator[str]:
    """The nonterminals in a node."""
    match node:
        case Name(name):
            yield name
        case Series(parts) | Choice(parts):
            for part in parts:
                yield from _names(part)
        case Repeat(part):
            yield from _names(part)


@dataclass
class _Expansion:
    source: str
    names: dict[str, str]
    productions: list[Production] = field(default_factory=list)
    made: dict[Node, Nonterminal] = field(default_factory=dict)
    waiting: deque[tuple[Nonterminal, Choice | Repeat]] = field(default_factory=deque)
    numbers: Counter[str] = field(default_factory=Counter)

    def add(self, definition: Definition) -> None:
        """Append the productions of one definition, then those of the nonterminals made for it."""
        lhs, node = Nonterminal(self.names[definition.name]), definition.node
        try:
            options = node.options if isinstance(node, Choice) else (node,)
            self.append(lhs, [self.symbols(option, lhs) for option in options], definition.line)
            while self.waiting:
                made, node = self.waiting.popleft()
                self.append(made, self.alternatives(made, node, lhs), definition.line)
        except ValueError as error:
            raise mistake(self.source, definition.line, str(error)) from error

    def append(self, lhs: Nonterminal, alternatives: Sequence[tuple[Symbol, ...]], line: int) -> None:
        """Append productions."""
        refuse_many(len(self.productions) + len(alternatives), self.source, line)
        for rhs in alternatives:
            self.productions.append(Production(lhs, rhs, None, line))
            refuse_long(str(self.productions[-1]))

    def symbols(self, node: Node, rule: Nonterminal) -> tuple[Symbol, ...]:
        """The symbols of a node; new nonterminals are named after `rule`."""
        match node:
            case Text(text):
                return terminals(text)
            case Name(name):
                return (Nonterminal(self.names[name]),)
            case Series(parts):
                symbols = tuple(symbol for part in parts for symbol in self.symbols(part, rule))
            case Choice((option,)):
                return self.symbols(option, rule)
            case Choice():
                return (self.nonterminal(node, rule),)
            case Repeat(part, low, high):
                symbols = self.symbols(part, rule) * min(low, MAX_SYMBOLS + 1) if low else ()
                if high is None or high > low:
                    symbols += (self.nonterminal(Repeat(part, 0, high and high - low), rule),)
        if len(symbols) > MAX_SYMBOLS:
            raise ValueError(f"a right-hand side has at most {MAX_SYMBOLS} symbols. Got {len(symbols):,} or more.")
        return symbols

    def nonterminal(self, node: Choice | Repeat, rule: Nonterminal) -> Nonterminal:
        """The nonterminal of a choice or repetition, one for all that are equal."""
        if node not in self.made:
            self.numbers[rule.name] += 1
            self.made[node] = Nonterminal(f"{rule.name}/{node.kind}{self.numbers[rule.name]}")
            self.waiting.append((self.made[node], node))
        return self.made[node]

    def alternatives(self, lhs: Nonterminal, node: Choice | Repeat, rule: Nonterminal) -> list[tuple[Symbol, ...]]:
        """The right-hand sides of a made nonterminal."""
        if isinstance(node, Choice):
            return [self.symbols(option, rule) for option in node.options]
        inner = node.part
        options = inner.options if isinstance(inner, Choice) and inner.kind == "group" else (inner,)
        if node.high is None:
            rest: tuple[Symbol, ...] = (lhs,)
        else:
            rest = self.symbols(Repeat(inner, 0, node.high - 1), rule)
        return [(), *(self.symbols(option, rule) + rest for option in options)]
