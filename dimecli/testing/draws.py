"""Draws that two processes share with one. Importing this module imports torch."""

from __future__ import annotations

from typing import Any

import torch
from torch.overrides import TorchFunctionMode


class RowsOfOne(TorchFunctionMode):
    """Gives a process its own rows of what one process would draw for a whole batch.

    Inside, `torch.randn`, `torch.rand` and `torch.randint` with a generator and one row for each sample of
    this process draw for all samples, from a generator of their own, which all processes seed alike. All
    other draws are left alone. So losses of one process and of two differ by what they compute, as far as
    they draw for samples.

    Args:
        seed: Of the whole batch's draws.
        rows: Samples of this process.
        world: Processes, of equally many samples.
        rank: Number of this process among them.
    """

    def __init__(self, seed: int, rows: int, world: int, rank: int) -> None:
        super().__init__()
        self._drawn = torch.Generator().manual_seed(seed)
        self._rows, self._world, self._rank = rows, world, rank

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """What `func` gives, or the rows of this process of what it gives for all."""
        kwargs = kwargs or {}
        if func not in (torch.randn, torch.rand, torch.randint) or kwargs.get("generator") is None:
            return func(*args, **kwargs)
        bounds, size = _parsed(func, args, kwargs)
        if not size or size[0] != self._rows:
            return func(*args, **kwargs)
        options = {name: value for name, value in kwargs.items() if name != "size"} | {"generator": self._drawn}
        drawn: torch.Tensor = func(*bounds, (self._world * size[0], *size[1:]), **options)
        return drawn[self._rank * self._rows :][: self._rows]


def _parsed(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], tuple[int, ...]]:
    """The bounds that `torch.randint` is given in front of the size, and the size."""
    if "size" in kwargs:
        return args, tuple(kwargs["size"])
    if func is torch.randint or (len(args) == 1 and not isinstance(args[0], int)):
        return args[:-1], tuple(args[-1])
    return (), args
