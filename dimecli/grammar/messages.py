"""How a grammar's reader and compiler name what they complain about."""

from __future__ import annotations

from dimecli.errors import UserError


def mistake(source: str, line: int, message: str) -> UserError:
    """The error of a line of a grammar file."""
    return UserError(f"{source}:{line}: {message}")


def brief(text: object) -> str:
    """The beginning of what may be too long for a message."""
    text = str(text)
    return text if len(text) <= 60 else f"{text[:57]}..."


def shown(text: str) -> str:
    """A piece of a file for a message: quoted, and on one line."""
    return repr(brief(text))
