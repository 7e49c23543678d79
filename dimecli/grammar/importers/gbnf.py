"""GBNF, the notation of llama.cpp: `root ::= "a" [0-9]{1,3} (root | other)*`."""

from __future__ import annotations

import re

from dimecli.grammar.importers.characters import ESCAPE, character_class, repetition, unescape
from dimecli.grammar.importers.expand import Text, expand
from dimecli.grammar.importers.syntax import Token, parse_definitions, tokens
from dimecli.grammar.rules import Rules

_TOKEN = re.compile(
    rf"""(?P<blank>\s+|\#[^\n]*)|(?P<name>[A-Za-z0-9_-]+)|(?P<define>::=)|(?P<text>"(?:[^"\\\n]|{ESCAPE})*")
    |(?P<class>\[(?:[^\]\\\n]|{ESCAPE})*\])|(?P<repeat>[*+?]|\{{\d+(?:,\d*)?\}})|(?P<mark>[|()])""",
    re.VERBOSE,
)


def read(text: str, source: str) -> Rules:
    """The rules of a GBNF grammar; sentences are derived from `root`.

    Raises:
        UserError: bad notation, or `.` or `[^...]`, which stand for too many characters.
    """
    return expand(parse_definitions(tokens(_TOKEN, text, source, _token), source), source, "root")


def _token(kind: str, piece: str, line: int) -> Token:
    if kind == "text":
        return Token("item", piece, line, Text(unescape(piece[1:-1])))
    if kind == "class":
        return Token("item", piece, line, character_class(piece[1:-1], rf"{ESCAPE}|[^\\]"))
    if kind == "repeat":
        return Token(kind, piece, line, times=repetition(piece))
    return Token(piece if kind == "mark" else kind, piece, line)
