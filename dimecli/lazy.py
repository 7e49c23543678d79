"""Heavy libraries, imported at first use and fully typed: `from dimecli.lazy import torch`.

A plugin's module is imported to show its options, long before any tensor exists, so it must not
import torch by itself. It takes the names below instead, which cost nothing until they are used.
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import TYPE_CHECKING, Any

from dimecli.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    import torch as torch
    import torch.nn.functional as F
    import torchvision as torchvision
    from torch import nn as nn
else:

    class _Lazy(ModuleType):
        def __getattr__(self, name: str) -> Any:
            module = importlib.import_module(self.__name__)
            self.__dict__.update(module.__dict__)  # the next look-up is as fast as the module's own
            return getattr(module, name)

    np = _Lazy("numpy")
    torch = _Lazy("torch")
    nn = _Lazy("torch.nn")
    F = _Lazy("torch.nn.functional")
    torchvision = _Lazy("torchvision")

__all__ = ["F", "nn", "np", "optional", "torch", "torchvision"]


def optional(module: str, asked: str, extra: str) -> Any:
    """A module that not every installation has, imported now.

    Args:
        module: Its name.
        asked: What the user typed to need it, such as `--track mine`.
        extra: The extra of dimecli that brings it.

    Raises:
        UserError: it cannot be imported; the message has the cure.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise UserError(f"{asked}: {error}: pip install 'dimecli[{extra}]'") from error
