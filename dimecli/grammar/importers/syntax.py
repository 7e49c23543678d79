"""What EBNF, GBNF and regular expressions share: tokens, classes of characters, and the parser of right-hand sides."""

from __future__ import annotations

import itertools
import re
from collections import deque
from collections.abc import Callable, Iterator
from typing import NamedTuple

from dimecli.grammar.importers.expand import Choice, Definition, Name, Node, Repeat, Series, Text
from dimecli.grammar.messages import mistake, shown
from dimecli.grammar.text import MAX_PRODUCTIONS, MAX_SYMBOLS

MAX_DEPTH = 50
"""Of brackets."""
MAX_CLASS = 1_000
"""Characters of a class, and the largest number of repetitions."""

ESCAPE = r"\\(?:x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|[^\n])"
"""A backslash and what belongs to it, as a regular expression."""

_CLOSING = {"(": ")", "[": "]", "{": "}"}
_CONTROL = {"n": "\n", "r": "\r", "t": "\t"}


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


def unescape(text: str) -> str:
    r"""The text that one with escapes such as `\n`, `\\`, `\"` and `\x41` means.

    Raises:
        ValueError: an escape that means nothing.
    """
    return re.sub(ESCAPE, lambda match: _escaped(match[0]), text)


def _escaped(escape: str) -> str:
    letter, code = escape[1], escape[2:]
    if code:
        return chr(int(code, 16))
    if letter.isalnum() and letter not in _CONTROL:
        raise ValueError(f"the escape {escape} means nothing here.")
    return _CONTROL.get(letter, letter)


def character_class(content: str, item: str, meaning: dict[str, str] | None = None) -> Choice:
    """The choice that a class such as `a-z_` is.

    Args:
        content: What stands between the brackets.
        item: A regular expression for one written character.
        meaning: Written characters that are several, with those.

    Raises:
        ValueError: it is the complement of one, a range runs backwards, or it has more than `MAX_CLASS` characters.
    """
    if content.startswith("^"):
        raise ValueError(f"a class must list its characters. Got [{content[:40]}], all but some.")
    found: dict[str, None] = {}
    for match in re.finditer(rf"({item})-({item})|({item})", content, re.DOTALL):
        if match[1]:
            low, high = ord(character(match[1])), ord(character(match[2]))
            if not low <= high < low + MAX_CLASS:
                raise ValueError(f"a range must run forwards over at most {MAX_CLASS} characters. Got {match[0]}.")
            found |= dict.fromkeys(map(chr, range(low, high + 1)))
        else:
            found |= dict.fromkeys((meaning or {}).get(match[3]) or character(match[3]))
    if len(found) > MAX_CLASS:
        raise ValueError(f"a class must have at most {MAX_CLASS} characters. Got {len(found):,}.")
    return Choice(tuple(map(Text, found)), "class")


def character(written: str) -> str:
    """The character of `#x41`, of an escape, or of itself.

    Raises:
        ValueError: there is none.
    """
    try:
        return chr(int(written[2:], 16)) if written[:2] == "#x" else unescape(written)
    except (OverflowError, ValueError) as error:
        raise ValueError(f"{written[:20]} is no character.") from error


def repetition(text: str) -> tuple[int, int | None]:
    """How often `*`, `+`, `?`, `{2}`, `{2,}` and `{2,5}` repeat.

    Raises:
        ValueError: the numbers are in the wrong order, or too large.
    """
    if text in "*+?":
        return int(text == "+"), 1 if text == "?" else None
    low, comma, high = text[1:-1].partition(",")
    least, most = int(low[:9] or 0), int((high if comma else low)[:9]) if high or not comma else None
    if not least <= (least if most is None else most) <= MAX_CLASS or most == 0:
        raise ValueError(f"a repetition must be {{m,n}} with m <= n, n from 1 to {MAX_CLASS}. Got {text[:40]}.")
    return least, most


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
        self.line, self.options = 1, 0

    def kind(self, ahead: int = 0) -> str:
        """The kind of the token at hand, or of one after it; nothing at the end."""
        self.ahead += itertools.islice(self.tokens, ahead + 1 - len(self.ahead))
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
            options.append(self.series(depth))
        self.options += len(options)
        if self.options > MAX_PRODUCTIONS:
            raise mistake(self.source, self.line, f"a grammar has at most {MAX_PRODUCTIONS:,} productions.")
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
