"""EBNF as the W3C writes it, `list ::= item ("," item)*`, and as ISO 14977 does, `list = item, {",", item};`."""

from __future__ import annotations

import re
from itertools import takewhile

from dimecli.grammar.importers.characters import character, character_class, repetition
from dimecli.grammar.importers.expand import Text, expand
from dimecli.grammar.importers.syntax import Token, parse_definitions, scan, tokens
from dimecli.grammar.rules import Rules

_CHARACTER = r"#x[0-9A-Fa-f]+|."
_WORD = r"[^\W\d][\w-]*"


def _pattern(classes: str, name: str, numbers: str = "") -> re.Pattern[str]:
    """The tokens of a dialect: how it writes classes of characters and names, and what it numbers rules with."""
    return re.compile(
        rf"""(?P<class>{classes})|(?P<blank>{numbers}\s+|,|\(\*(?:(?!\*\)).)*\*\)|/\*(?:(?!\*/).)*\*/)|(?P<open>\(\*)
        |(?P<name><[^<>\n]+>|{name})|(?P<define>::=|:=|=)|(?P<code>\#x[0-9A-Fa-f]+)
        |(?P<text>"[^"\n]*"|'[^'\n]*')|(?P<repeat>[*+?])|(?P<mark>[|()\[\]{{}}])|(?P<end>[;.])""",
        re.VERBOSE | re.DOTALL | re.MULTILINE,
    )


_NUMBER = rf"^[ \t]*\[\d+\w*\](?=[ \t]+{_WORD}\s*::=)"
_RANGES = r"""\[(?:[^\[\]\s"'\\]-[^\[\]\s"'\\])+[^\[\]\s"'A-Za-z0-9]*\]"""
_W3C = _pattern(rf"""(?!{_NUMBER})\[[^\[\]\s"']+\]""", _WORD, rf"\s*{_NUMBER}|")
_ISO = _pattern(_RANGES, _WORD)
_ISO_WITH_COMMAS = _pattern(_RANGES, rf"{_WORD}(?:[ \t]+{_WORD})*")


def read(text: str, source: str) -> Rules:
    """The rules of an EBNF grammar; sentences are derived from the first.

    `=`, `:=` or `::=` defines; `;` or `.` may end a rule and `,` may stand between symbols; `[ ]` is an
    option, `{ }` and `*` repeat, `+` repeats at least once, `?` is an option.
    Where the first rule has `::=`, brackets without blanks and quotes are a class of characters, and numbers
    of rules such as `[12]` are passed over. Where it has not, only brackets that begin with a range are one:
    `[a-z_]` is, `[sign]` is an option; and names may contain blanks if there are commas in the file.

    Raises:
        UserError: bad notation, or exceptions (`A - B`), special sequences, multiples (`3 * A`) and `[^...]`.
    """
    return expand(parse_definitions(tokens(_dialect(text, source), text, source, _token), source), source)


def _dialect(text: str, source: str) -> re.Pattern[str]:
    pieces = takewhile(lambda found: found[0] != "open", scan(_W3C, text, source))
    if next((piece for kind, piece, _ in pieces if kind == "define"), "") == "::=":
        return _W3C
    return _ISO_WITH_COMMAS if any(piece == "," for _, piece, _ in pieces) else _ISO


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
    return Token(piece if kind == "mark" else kind, " ".join(piece.split()), line)
