"""The base of every plugin."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal, SupportsIndex

from dimecli.errors import UserError
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
    api: ClassVar[int] = 1
    """Number of the contract that it was written for. The default never changes, whatever `API` becomes: what
    says nothing was written for the first one."""
    deprecated: ClassVar[str] = ""
    """What to use in its place, such as `objective 'new'`: whoever chooses the plugin is told; empty: it stays."""

    @classmethod
    def summary(cls) -> str:
        """First line of the docstring."""
        return (cls.__doc__ or "").strip().partition("\n")[0]

    def __reduce_ex__(self, protocol: SupportsIndex) -> Any:
        """How it is sent to another process, which has to execute a loose file before it knows the class."""
        module = sys.modules[type(self).__module__]
        if file := getattr(module, "__dime_file__", None):
            return _from_file, (file, module.__dime_hash__, type(self).__qualname__, self.options())
        return super().__reduce_ex__(protocol)


def _from_file(file: Path, digest: str, name: str, options: Mapping[str, Any]) -> Plugin:
    """The plugin that `__reduce_ex__` took apart.

    Raises:
        UserError: the file is not the one that it was taken from.
    """
    from dimecli.loose import load

    module = load(file)
    if module.__dime_hash__ != digest:
        raise UserError(f"--plugin {file}: it was changed while it was in use")
    plugin: Plugin = getattr(module, name).model_validate(options)
    return plugin
