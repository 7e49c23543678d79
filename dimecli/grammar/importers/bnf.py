"""BNF as PonyGE2 writes it: `<e> ::= <e> + <e> | sin(<e>) | "x"`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import groupby

from dimecli.grammar.importers.characters import unescape
from dimecli.grammar.importers.expand import Choice, Definition, Name, Node, Series, Text, expand
from dimecli.grammar.importers.syntax import scan
from dimecli.grammar.messages import mistake, shown
from dimecli.grammar.rules import Rules

_TOKEN = re.compile(
    r"""(?P<comment>\#[^\n]*)|(?P<define><[^<>\n]+>\s*::=)|(?P<name><[^<>|\s]+>)|(?P<bar>\|)
    |(?P<quoted>"[^"\n]*"|'[^'\n]*')|(?P<bare>[^<"'|\#]+|<)""",
    re.VERBOSE,
)


def read(text: str, source: str) -> Rules:
    r"""The rules of a BNF grammar; sentences are derived from the first.

    As in PonyGE2, what stands outside angle brackets is text with its blanks, except at both ends of an
    alternative, in quotes or without; `\n` and the like are escapes in it, and `#` begins a comment.
    A line break within an alternative is a blank.

    Raises:
        UserError: bad notation, or a `GE_RANGE`, which stands for numbers that the file does not say.
    """
    rules: list[tuple[str, int, list[list[tuple[str, str]]]]] = []
    for kind, piece, line in scan(_TOKEN, text, source):
        if kind == "define":
            rules.append((piece.partition(">")[0][1:], line, [[]]))
        elif kind == "bar" and rules:
            rules[-1][2].append([])
        elif kind != "comment" and rules:
            rules[-1][2][-1].append((kind, re.sub(r"\s*\n\s*", " ", piece)))
        elif kind != "comment" and piece.strip():
            raise mistake(source, line, f"must begin with a rule such as <s> ::= a <s> | b. Got {shown(piece)}.")
    if not rules:
        raise mistake(source, 1, "must hold at least one rule such as <s> ::= a <s> | b. Got none.")
    return expand([_definition(source, *rule) for rule in rules], source)


def _definition(source: str, name: str, line: int, alternatives: Sequence[list[tuple[str, str]]]) -> Definition:
    try:
        return Definition(name, Choice(tuple(Series(tuple(_nodes(parts))) for parts in alternatives)), line)
    except ValueError as error:
        raise mistake(source, line, str(error)) from error


def _nodes(parts: list[tuple[str, str]]) -> list[Node]:
    """The names and, between them, the texts of an alternative."""
    _trim(parts, 0)
    _trim(parts, -1)
    nodes: list[Node] = []
    for named, group in groupby(parts, lambda part: part[0] == "name"):
        if named:
            nodes += (Name(piece[1:-1]) for _, piece in group)
        else:
            text = "".join(piece[1:-1] if kind == "quoted" else piece for kind, piece in group)
            if "::=" in text or "GE_RANGE" in text:
                raise ValueError(f"neither ::= nor GE_RANGE can be text. Got {shown(text)}.")
            nodes.append(Text(unescape(text)))
    return nodes


def _trim(parts: list[tuple[str, str]], end: int) -> None:
    """Remove the blanks at one end of an alternative."""
    while parts and parts[end][0] == "bare":
        text = parts[end][1].rstrip() if end else parts[end][1].lstrip()
        if text:
            parts[end] = ("bare", text)
            return
        parts.pop(end)
