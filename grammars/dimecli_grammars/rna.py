"""Secondary structures of RNA."""

from __future__ import annotations

from dimecli.plugin import Language


class RNA(Language):
    """Secondary structures of RNA in dot-bracket notation; hairpin loops have at least three bases."""
