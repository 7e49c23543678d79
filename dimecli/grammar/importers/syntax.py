"""What EBNF, GBNF and regular expressions share: tokens, and the parser of right-hand sides."""

from __future__ import annotations

import itertools
import re
from collections import deque
from collections.abc import Callable, Iterator
from typing import NamedTuple

from dimecli.grammar.importers.expand import Choice, Definition, Name, Node, Repeat, Series
from dimecli.grammar.messages import mistake, shown
from dimecli.grammar.text import MAX_SYMBOLS, refuse_many

MAX_DEPTH = 50
"""Of brackets."""

_CLOSING = {"(": ")", "[": "]", "{": "}"}


class Token(NamedTuple):
    """A piece of a grammar: a `name`, `define`, `item`, `repeat` or `end`, or a bracket or bar by itself."""

    kind: str
    text: str
    line: int
    node: Node = Series(())
    times: tuple[int, int | None] = (1, 1)


def scan(pattern: re.Pattern[str], text: str, source: str) -> Iterator[tuple[str, str, int]]:
    """The name of the group that matches, what it matches, and its line, all through a text.

    Raises:
        UserError: nothing matches somewhere.
    """
    place, line = 0, 1
    while place < len(text):
        match = pattern.match(text, place)
        if not match or not match.lastgroup:
            (rest, *_) = text[place : place + 80].split("\n", 1)
            raise mistake(source, line, f"cannot be read from {shown(rest)} on.")
        yield match.lastgroup, match[0], line
        place, line = match.end(), line + match[0].count("\n")


def tokens(
    pattern: re.Pattern[str], text: str, source: str, token: Callable[[str, str, int], Token]
) -> Iterator[Token]:
    """The tokens that a notation makes of what `scan` finds; what is `blank` makes none.

    Raises:
        UserError: nothing matches somewhere, or `token` raises ValueError.
    """
    for kind, piece, line in scan(pattern, text, source):
        try:
            if kind != "blank":
                yield token(kind, piece, line)
        except ValueError as error:
            raise mistake(source, line, str(error)) from error


def parse_definitions(tokens: Iterator[Token], source: str) -> list[Definition]:
    """Rules: a name, the defining sign, and a right-hand side up to an `end` or the next rule.

    Raises:
        UserError: it is anything else.
    """
    parser = _Parser(tokens, source)
    definitions = []
    while parser.kind():
        name = parser.take("name", "the name of a rule")
        parser.take("define", "the sign that defines it")
        definitions.append(Definition(name.text, parser.choice(0), name.line))
        if parser.kind() == "end":
            parser.next()
    if not definitions:
        raise mistake(source, 1, "must hold at least one rule. Got none.")
    return definitions


def parse_expression(tokens: Iterator[Token], source: str) -> Node:
    """One right-hand side.

    Raises:
        UserError: it is none.
    """
    parser = _Parser(tokens, source)
    node = parser.choice(0)
    if parser.kind():
        raise parser.unexpected("the end")
    return node


class _Parser:
    """Takes tokens one by one, so that a text with a mistake is not read to its end."""

    def __init__(self, tokens: Iterator[Token], source: str) -> None:
        self.tokens, self.source = tokens, source
        self.ahead: deque[Token] = deque()
        self.line, self.bars = 1, 0

    def kind(self, ahead: int = 0) -> str:
        """The kind of the token at hand, or of one after it; nothing at the end."""
        self.ahead += itertools.islice(self.tokens, max(0, ahead + 1 - len(self.ahead)))
        return self.ahead[ahead].kind if ahead < len(self.ahead) else ""

    def next(self) -> Token:
        """The token at hand, which is then behind."""
        token = self.ahead.popleft()
        self.line = token.line
        return token

    def take(self, kind: str, what: str) -> Token:
        """The token at hand, if it is of that kind."""
        if self.kind() != kind:
            raise self.unexpected(what)
        return self.next()

    def unexpected(self, what: str) -> Exception:
        """The error of finding something else."""
        if not self.kind():
            return mistake(self.source, self.line, f"ends where {what} is expected.")
        token = self.ahead[0]
        return mistake(self.source, token.line, f"{shown(token.text)} stands where {what} is expected.")

    def choice(self, depth: int) -> Choice:
        """Options between bars."""
        options = [self.series(depth)]
        while self.kind() == "|":
            self.next()
            self.bars += 1
            refuse_many(self.bars, self.source, self.line)
            options.append(self.series(depth))
        return Choice(tuple(options))

    def series(self, depth: int) -> Series:
        """Parts in a row, up to what cannot be one."""
        parts: list[Node] = []
        while self.kind() in {"item", "name", *_CLOSING} and self.kind(1) != "define":
            part = self.part(depth)
            if self.kind() == "repeat":
                part = Repeat(part, *self.next().times)
                if self.kind() == "repeat":
                    raise self.unexpected("something other than a second repetition")
            parts.append(part)
            if len(parts) > MAX_SYMBOLS:
                raise mistake(self.source, self.line, f"a right-hand side has at most {MAX_SYMBOLS} symbols.")
        if self.kind() not in ("", "|", "end", "name", *_CLOSING.values()):
            raise self.unexpected("a symbol")
        return Series(tuple(parts))

    def part(self, depth: int) -> Node:
        """A text, a name, or what stands in brackets."""
        token = self.next()
        if token.kind == "item":
            return token.node
        if token.kind == "name":
            return Name(token.text)
        if depth == MAX_DEPTH:
            raise mistake(self.source, token.line, f"brackets must not be nested more than {MAX_DEPTH} deep.")
        inner = self.choice(depth + 1)
        self.take(_CLOSING[token.kind], f"'{_CLOSING[token.kind]}'")
        return Repeat(inner, 0, {"[": 1, "{": None}[token.kind]) if token.kind in "[{" else inner
