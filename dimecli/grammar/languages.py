"""Grammars by name or file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from dimecli.errors import UserError, did_you_mean
from dimecli.grammar.messages import brief
from dimecli.plugin import Language
from dimecli.registry import make, names

if TYPE_CHECKING:
    from dimecli.grammar import Grammar
    from dimecli.grammar.semantics import Semantics


def find_language(name: str) -> Language:
    """The registered grammar of that name, or else the grammar in the file of that path.

    Sentences of a file are evaluated as arithmetic, if all its terminals are of it.

    Raises:
        UserError: there is neither; the message has the nearest name.
    """
    if name in names("grammar"):
        return make("grammar", name)  # type: ignore[no-any-return]
    if not os.path.isfile(name):
        raise UserError(f"no grammar and no file named '{brief(name)}'.{did_you_mean(name, names('grammar'))}")
    return _File(path=Path(name))


class _File(Language):
    """A grammar in a file, in the notation that the file's ending says."""

    path: Path

    def text(self) -> str:
        return self.compile().text

    def compile(self, max_len: int | None = None) -> Grammar:
        from dimecli.grammar.compile import compile_rules
        from dimecli.grammar.importers import notation_of, read_foreign
        from dimecli.grammar.text import read_file

        rules = read_foreign(read_file(self.path), str(self.path), notation_of(self.path))
        return compile_rules(rules, max_len)

    def semantics(self) -> Semantics | None:
        from dimecli.grammar.semantics import arithmetic

        terminals = self.compile().terminals
        semantics = arithmetic(terminals)
        return semantics if semantics.terminals.issuperset(terminals) else None
