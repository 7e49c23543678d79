"""Grammars in other notations: BNF, EBNF, GBNF and lark."""

from __future__ import annotations

import importlib
from pathlib import Path

from dimecli.errors import UserError
from dimecli.grammar.rules import Rules

NOTATIONS = {".bnf": "bnf", ".ebnf": "ebnf", ".gbnf": "gbnf", ".lark": "lark", ".cfg": "cfg", ".pcfg": "cfg"}
"""Notations by file ending; `cfg` is nltk's."""


def notation_of(path: Path) -> str:
    """The notation that a file's ending says.

    Raises:
        UserError: it says none.
    """
    try:
        return NOTATIONS[path.suffix.lower()]
    except KeyError:
        raise UserError(f"{path}: a grammar's file must end in {', '.join(NOTATIONS)}. Got '{path.suffix}'.") from None


def read_foreign(text: str, source: str, notation: str) -> Rules:
    """The rules of a grammar in one of the `NOTATIONS`.

    Names that nltk's notation has no letters for are made readable, and a terminal that contains both
    quote marks, which it cannot write, becomes two.

    Raises:
        UserError: bad notation, or more than a context-free grammar can say; with the line.
    """
    if notation == "cfg":
        from dimecli.grammar.text import read_rules

        return read_rules(text, source)
    read = importlib.import_module(f"dimecli.grammar.importers.{notation}").read
    rules: Rules = read(text, source)
    return rules
