"""EBNF as the W3C writes it, `list ::= item ("," item)*`, and as ISO 14977 does, `list = item, {",", item};`."""

from __future__ import annotations

import re

from dimecli.grammar.importers.characters import character, character_class, repetition
from dimecli.grammar.importers.expand import Text, expand
from dimecli.grammar.importers.syntax import Token, parse_definitions, tokens
from dimecli.grammar.rules import Rules

_COMMON = r"""(?P<blank>\s+|,|\(\*(?:(?!\*\)).)*\*\)|/\*(?:(?!\*/).)*\*/)|(?P<open>\(\*)
    |(?P<name><[^<>\n]+>|[^\W\d][\w-]*)|(?P<define>::=|:=|=)|(?P<code>\#x[0-9A-Fa-f]+)
    |(?P<text>"[^"\n]*"|'[^'\n]*')|(?P<repeat>[*+?])|(?P<mark>[|()\[\]{}])|(?P<end>[;.])"""
_CHARACTER = r"#x[0-9A-Fa-f]+|."
_W3C = re.compile(rf"""(?P<class>\[[^\[\]\s"']+\])|{_COMMON}""", re.VERBOSE | re.DOTALL)
_ISO = re.compile(
    rf"""(?P<class>\[(?:[^\[\]\s"'\\]-[^\[\]\s"'\\])+[^\[\]\s"'A-Za-z0-9]*\])|{_COMMON}""", re.VERBOSE | re.DOTALL
)


def read(text: str, source: str) -> Rules:
    """The rules of an EBNF grammar; sentences are derived from the first.

    `=`, `:=` or `::=` defines; `;` or `.` may end a rule and `,` may stand between symbols; `[ ]` is an
    option, `{ }` and `*` repeat, `+` repeats at least once, `?` is an option.
    Brackets without blanks and quotes are a class of characters where the file defines with `::=`;
    where it does not, only those that begin with a range are: `[a-z_]` is one, `[sign]` is an option.

    Raises:
        UserError: bad notation, or exceptions (`A - B`), special sequences and `[^...]`, which no rule can say.
    """
    pattern = _W3C if "::=" in text else _ISO
    return expand(parse_definitions(tokens(pattern, text, source, _token), source), source)


def _token(kind: str, piece: str, line: int) -> Token:
    if kind == "open":
        raise ValueError("the comment (* is not closed.")
    if kind == "class":
        return Token("item", piece, line, character_class(piece[1:-1], _CHARACTER))
    if kind == "code":
        return Token("item", piece, line, Text(character(piece)))
    if kind == "text":
        return Token("item", piece, line, Text(piece[1:-1]))
    if kind == "repeat":
        return Token(kind, piece, line, times=repetition(piece))
    return Token(piece if kind == "mark" else kind, piece, line)
