"""The base of every plugin."""

from __future__ import annotations

from typing import ClassVar, Literal

from dimecli.settings import Settings

API = 1
"""Number of the plugin contract that this release speaks; a plugin made for another one is refused."""

LatentSpace = Literal["euclidean", "sphere"]


class Plugin(Settings):
    """A named, checked, frozen set of options with the work that they configure.

    A plugin that says `api = 1` is refused by a dimecli whose contract has another number.
    """

    kind: ClassVar[str]
    group: ClassVar[str]
    option: ClassVar[str] = ""
    """The flag that chooses plugins of this kind, where it is not called after the kind."""
    api: ClassVar[int] = API

    @classmethod
    def summary(cls) -> str:
        """First line of the docstring."""
        return (cls.__doc__ or "").strip().partition("\n")[0]
