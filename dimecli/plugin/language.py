"""What grammars keep to."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from dimecli.errors import PluginError
from dimecli.grammar.text import MAX_LENGTH
from dimecli.plugin.base import Plugin

if TYPE_CHECKING:
    from dimecli.grammar import Grammar
    from dimecli.grammar.semantics import Semantics


class Language(Plugin):
    """A context-free grammar, and what its sentences mean.

    The grammar is the .cfg file beside the plugin's module, of the same name.
    """

    kind = "grammar"
    group = "dimecli.grammars"

    source: ClassVar[str] = "length"
    """Where sentences to train on come from unless `--source` says."""
    sources: ClassVar[Mapping[str, Callable[[], Sequence[str]]]] = {}
    """Data sets of its own by name, for `--source`: each gives its sentences, in their published order."""

    problem: ClassVar[str | None] = None
    """Name of the problem that the grammar is published with; `dime bo` and `--hold-out` take it unless told."""

    max_length: int | None = Field(
        None, ge=1, le=MAX_LENGTH, description="Productions in the longest derivation; default: what the grammar says."
    )

    def text(self) -> str:
        """The grammar, as `dimecli.grammar.Grammar.compile` reads it.

        Raises:
            PluginError: the file beside the module is missing, or is no text.
        """
        file = self._module.with_suffix(".cfg")
        try:
            return file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            what = f"grammar {type(self).__qualname__}: {file} cannot be read ({error})"
            raise PluginError(f"{what}; write it, or override text()") from error

    def compile(self) -> Grammar:
        """The compiled grammar; made once for a text.

        Raises:
            UserError: the text is no grammar; names the line.
        """
        from dimecli.grammar.grammar import compiled

        return compiled(self.text(), self._module.stem, self.max_length)

    @property
    def _module(self) -> Path:
        return Path(inspect.getfile(type(self)))

    def semantics(self) -> Semantics | None:
        """What the terminals mean, for `dimecli.grammar.evaluate`; None where sentences are not evaluated."""
        return None
