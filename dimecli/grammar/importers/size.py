"""A bound on what lark makes of a grammar, from its text alone.

Lark multiplies out the options and groups of a rule, which takes time exponential in their number.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from dimecli.grammar.importers.syntax import MAX_DEPTH, scan
from dimecli.grammar.messages import mistake

MAX_CHARACTERS = 50_000
"""Of a lark grammar."""
MAX_EXPANSION = 5_000
"""Symbols of one rule when its options and groups are multiplied out."""
MAX_LENGTH = 100
"""Symbols of one alternative."""

_PIECE = re.compile(
    r"""(?P<blank>\s+|//[^\n]*|\#[^\n]*|%[ \t]*(?:ignore|import|declare)\b[^\n]*)
    |(?P<rule>[?!]*[A-Za-z_]\w*(?:\.-?\d+)?[ \t]*:)|(?P<template>[A-Za-z_]\w*\{)
    |(?P<item>"(?:[^"\\\n]|\\.)*"i?|/(?:[^/\\\n]|\\.)+/[a-z]*|\w+)|(?P<open>[(\[])|(?P<close>[)\]])|(?P<bar>\|)
    |(?P<maybe>[?*])|(?P<times>~[ \t]*(?:\d+[ \t]*\.\.[ \t]*)?\d+)|(?P<other>.)""",
    re.VERBOSE,
)


@dataclass
class _Group:
    """What stands in brackets so far: its finished options, and the series at hand and its last part."""

    options: int = 0
    longest: int = 0
    ways: int = 1
    length: int = 0
    last: tuple[int, int] = (1, 0)

    def append(self, ways: int, length: int) -> None:
        """Take a part that expands in so many ways."""
        self.ways, self.length, self.last = self.ways * ways, self.length + length, (ways, length)

    def replace(self, ways: int, length: int) -> None:
        """Take another part instead of the last."""
        self.ways, self.length = self.ways // self.last[0], self.length - self.last[1]
        self.append(ways, length)

    def close(self) -> None:
        """Finish an option."""
        self.options, self.longest = self.options + self.ways, max(self.longest, self.length)
        self.ways, self.length = 1, 0


def refuse_large(text: str, source: str) -> None:
    """Refuse a lark grammar that takes long to read.

    Raises:
        UserError: it is too long, nested too deeply, one of its rules expands to too much, or it has templates.
    """
    if len(text) > MAX_CHARACTERS:
        raise mistake(source, 1, f"a lark grammar must have at most {MAX_CHARACTERS:,} characters. Got {len(text):,}.")
    stack = [_Group()]
    terminals: dict[str, list[str]] = {}
    parts: list[str] = []
    for kind, piece, line in scan(_PIECE, text, source):
        if kind == "template":
            raise mistake(source, line, f"templates such as {piece}...}} are not supported; write them out.")
        parts += [piece] if kind == "item" else []
        if kind == "rule":
            stack = [_Group()]
            parts = terminals.setdefault(re.findall(r"\w+", piece)[0], [])
        elif kind == "open":
            stack.append(_Group())
        elif kind == "close" and len(stack) > 1:
            inner = stack.pop()
            inner.close()
            stack[-1].append(inner.options + (piece == "]"), inner.longest)
        else:
            _take(stack[-1], kind, piece)
        group = stack[-1]
        if len(stack) > MAX_DEPTH:
            raise mistake(source, line, f"brackets must not be nested more than {MAX_DEPTH} deep.")
        if group.length > MAX_LENGTH or (group.options + group.ways) * max(group.length, 1) > MAX_EXPANSION:
            raise mistake(source, line, "the rule expands to too many symbols; write its groups as rules.")
    _refuse_large_terminals({name: parts for name, parts in terminals.items() if name.isupper()}, source)


def _refuse_large_terminals(terminals: dict[str, list[str]], source: str) -> None:
    """Refuse terminals that are large once the terminals within them are written out, which lark does."""
    sizes = dict.fromkeys(terminals, 0)
    for _ in range(MAX_DEPTH):
        larger = {name: sum(sizes.get(part, 1) for part in parts) for name, parts in terminals.items()}
        if larger == sizes:
            return
        sizes = larger
        for name, size in sizes.items():
            if size > MAX_EXPANSION:
                raise mistake(source, 1, f"terminal {name} expands to too much; write some of it as a rule.")
    raise mistake(source, 1, f"terminals must not refer to each other more than {MAX_DEPTH} deep.")


def _take(group: _Group, kind: str, piece: str) -> None:
    """Take a token that is no bracket."""
    ways, length = group.last
    if kind == "item":
        group.append(1, 1)
    elif kind == "bar":
        group.close()
    elif kind == "maybe":
        group.replace(ways + 1, length)
    elif kind == "times":
        numbers = [min(int(digits[-4:]), MAX_LENGTH) for digits in re.findall(r"\d+", piece)]
        group.replace(min(ways, MAX_EXPANSION) ** numbers[-1] * (numbers[-1] - numbers[0] + 1), length * numbers[-1])
