"""Melodies."""

from __future__ import annotations

from dimecli.plugin import Language


class Example(Language):
    """Melodies in the pentatonic scale: notes and rests with their lengths, and the keynote at the end."""
