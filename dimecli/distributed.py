"""Data-parallel training: several processes that compute what one would on the whole batch."""

from __future__ import annotations

import os
from contextvars import ContextVar
from typing import Protocol

from dimecli.lazy import torch


class Group(Protocol):
    """Processes that are only pretended: what a thread takes for the others, to check a loss without starting any."""

    world: int
    rank: int

    def gather(self, x: torch.Tensor) -> torch.Tensor:
        """The rows of all of them, as `dimecli.distributed.gather`."""


pretended: ContextVar[Group | None] = ContextVar("pretended", default=None)
"""The group that the running thread is in, where it is pretended; see `dimecli.testing.processes`."""


def world() -> int:
    """Number of processes that train together; 1 unless torchrun started this one."""
    group = pretended.get()
    return int(os.environ.get("WORLD_SIZE", "1")) if group is None else group.world


def rank() -> int:
    """Number of this process among them; process 0 writes and speaks."""
    group = pretended.get()
    return int(os.environ.get("RANK", "0")) if group is None else group.rank


def gather(x: torch.Tensor) -> torch.Tensor:
    """`(W B, ...)`: the rows of all W processes, in the order of their ranks, with gradients.

    A term that couples the samples of a batch is computed on this by every process alike. Its
    gradient, averaged over the processes as every gradient is, then equals that of one process
    that holds the whole batch. With one process this is the identity.
    """
    if (group := pretended.get()) is not None:
        return group.gather(x)
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return x
    from dimecli.nn.gather import Gather

    gathered: torch.Tensor = Gather.apply(x)
    return gathered


def from_first(text: str, device: torch.device) -> str:
    """The text that process 0 gave, 1 to 4096 bytes, in every process; it waits for all of them."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return text
    letters = torch.zeros(4096, dtype=torch.uint8)
    encoded = torch.frombuffer(bytearray(text.encode()), dtype=torch.uint8)
    letters[: len(encoded)] = encoded
    letters = letters.to(device)
    torch.distributed.broadcast(letters, src=0)
    return bytes(letters.cpu().tolist()).rstrip(b"\0").decode()


def share_buffers(model: torch.nn.Module) -> None:
    """Give every process the buffers of process 0, such as the running statistics of batch norms."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        for buffer in model.buffers():
            torch.distributed.broadcast(buffer, src=0)


def average(x: torch.Tensor) -> torch.Tensor:
    """The mean of `x` over all processes, without gradients."""
    if (group := pretended.get()) is not None:
        return group.gather(x.detach()[None]).mean(0)
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.all_reduce(x)
        x /= torch.distributed.get_world_size()
    return x
