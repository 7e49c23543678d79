"""BNF as PonyGE2 writes it: `<e> ::= <e> + <e> | sin(<e>) | "x"`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import groupby

from dimecli.grammar.importers.characters import unescape
from dimecli.grammar.importers.expand import Choice, Definition, Name, Node, Series, Text, expand
from dimecli.grammar.importers.syntax import scan
from dimecli.grammar.messages import mistake, shown
from dimecli.grammar.rules import Rules
from dimecli.grammar.text import refuse_many

_TOKEN = re.compile(
    r"""(?P<comment>\#[^\n]*)|(?P<define><[^<>\n]+>\s*::=)|(?P<name><[^<>|\s](?:[^<>|\n]*[^<>|\s])?>)|(?P<bar>\|)
    |(?P<quoted>"[^"\n]*"|'[^'\n]*')|(?P<bare>[^<"'|\#]+|<)""",
    re.VERBOSE,
)


def read(text: str, source: str) -> Rules:
    r"""The rules of a BNF grammar; sentences are derived from the first.

    As in PonyGE2, what stands outside angle brackets is text, in quotes or without; `\x41` and the like are
    escapes in it, and `#` begins a comment. Blanks in quotes are text. Outside quotes they are text too,
    a line break as one blank, but not at the ends of an alternative or beside quotes; and nowhere in a file
    that has all its text in quotes: `<e> + <e>` is the same as `<e>" + "<e>`, `<e> "+" <e>` as `<e>"+"<e>`.

    Raises:
        UserError: bad notation, or a `GE_RANGE`, which stands for numbers that the file does not say.
    """
    rules: list[tuple[str, int, list[list[tuple[str, str]]]]] = []
    alternatives, blanks_count = 0, False
    for kind, piece, line in scan(_TOKEN, text, source):
        if kind == "define":
            rules.append((piece.partition(">")[0][1:], line, [[]]))
        elif kind == "bar" and rules:
            rules[-1][2].append([])
            alternatives += 1
            refuse_many(alternatives, source, line)
        elif kind != "comment" and rules:
            rules[-1][2][-1].append((kind, _on_one_line(piece)))
            blanks_count |= kind == "bare" and not piece.isspace()
        elif kind != "comment" and piece.strip():
            raise mistake(source, line, f"must begin with a rule such as <s> ::= a <s> | b. Got {shown(piece)}.")
    if not rules:
        raise mistake(source, 1, "must hold at least one rule such as <s> ::= a <s> | b. Got none.")
    for _, _, options in rules if not blanks_count else ():
        options[:] = [[part for part in parts if part[0] != "bare"] for parts in options]
    return expand([_definition(source, *rule) for rule in rules], source)


def _on_one_line(text: str) -> str:
    return re.sub(r"\s+", lambda blanks: " " if "\n" in blanks[0] else blanks[0], text)


def _definition(source: str, name: str, line: int, alternatives: Sequence[list[tuple[str, str]]]) -> Definition:
    try:
        return Definition(name, Choice(tuple(Series(tuple(_nodes(parts))) for parts in alternatives)), line)
    except ValueError as error:
        raise mistake(source, line, str(error)) from error


def _nodes(parts: list[tuple[str, str]]) -> list[Node]:
    """The names and, between them, the texts of an alternative."""
    nodes: list[Node] = []
    for named, group in groupby(_stripped(parts), lambda part: part[0] == "name"):
        pieces = [piece for _, piece in group]
        if named:
            nodes += (Name(piece[1:-1]) for piece in pieces)
        else:
            nodes.append(Text(unescape("".join(pieces))))
    return nodes


def _stripped(parts: list[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """The parts without quotes, and without the blanks at either end and beside quotes."""
    runs = [(kind, [piece for _, piece in run]) for kind, run in groupby(parts, lambda part: part[0])]
    for index, (kind, pieces) in enumerate(runs):
        if kind != "bare":
            yield from ((kind, piece[1:-1] if kind == "quoted" else piece) for piece in pieces)
            continue
        text = "".join(pieces)
        if "::=" in text or "GE_RANGE" in text:
            raise ValueError(f"neither ::= nor GE_RANGE can be text without quotes. Got {shown(text)}.")
        text = text.lstrip() if index == 0 or runs[index - 1][0] == "quoted" else text
        yield kind, text.rstrip() if index + 1 == len(runs) or runs[index + 1][0] == "quoted" else text
