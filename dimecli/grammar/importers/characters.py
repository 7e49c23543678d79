"""Escapes, classes of characters and numbers of repetitions, as they are written."""

from __future__ import annotations

import re

from dimecli.grammar.importers.expand import Choice, Text

MAX_CLASS = 1_000
"""Characters of a class, and the largest number of repetitions."""

ESCAPE = r"\\(?:x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|[^\n])"
"""A backslash and what belongs to it, as a regular expression."""

_CONTROL = {"n": "\n", "r": "\r", "t": "\t"}


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
