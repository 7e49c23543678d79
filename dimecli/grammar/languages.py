"""Grammars by name or file."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from dimecli.errors import UserError, did_you_mean
from dimecli.grammar.importers import notation_of, read_foreign
from dimecli.grammar.messages import brief
from dimecli.grammar.text import read_file
from dimecli.plugin import Language
from dimecli.registry import make, names
from dimecli.settings import checked

if TYPE_CHECKING:
    from dimecli.grammar import Grammar
    from dimecli.grammar.semantics import Semantics


def find_language(name: str, max_length: int | None = None) -> Language:
    """The registered grammar of that name, or else the grammar in the file of that path.

    Sentences of a file are evaluated as arithmetic, if all its terminals are of it.

    Raises:
        UserError: there is neither, and the message has the nearest name; or the file cannot be read.
    """
    if name in names("grammar"):
        return make("grammar", name, max_length=max_length)  # type: ignore[no-any-return]
    if not os.path.isfile(name):
        raise UserError(f"no grammar and no file named '{brief(name)}'.{did_you_mean(name, names('grammar'))}")
    options = {"path": name, "content": read_file(Path(name)), "max_length": max_length}
    return checked(_File, options, f"grammar '{brief(name)}'")


class _File(Language):
    """A grammar from a file, in the notation that the file's ending says.

    It holds the text, so that other processes compile it without the file.
    """

    path: Path
    content: str

    @property
    def problem(self) -> str | None:  # type: ignore[override]  # known once the file is read
        from dimecli.defaults import optional

        return None if self.semantics() is None else optional("arithmetic")

    def text(self) -> str:
        return self.compile().text

    def compile(self) -> Grammar:
        return _compiled(self.content, str(self.path), notation_of(self.path), self.max_length)

    def semantics(self) -> Semantics | None:
        from dimecli.grammar.semantics import arithmetic

        terminals = self.compile().terminals
        semantics = arithmetic(terminals)
        return semantics if semantics.terminals.issuperset(terminals) else None


@cache
def _compiled(content: str, source: str, notation: str, max_length: int | None) -> Grammar:
    from dimecli.grammar.compile import compile_rules

    return compile_rules(read_foreign(content, source, notation), max_length)
