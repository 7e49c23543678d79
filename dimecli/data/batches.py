"""How samples become batches on the device: from memory where they fit, streamed where they do not."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import Literal

import torch
from torch.utils.data import DataLoader

from dimecli.data.samples import Samples, Source
from dimecli.errors import DimeError
from dimecli.seeds import generator

_DECODE_CHUNK = 256  # samples per task of a reading process


class Batches:
    """The samples of one split as `(B, *shape)` batches on the device.

    Pixels (uint8) become float32 in [0, 1] on the device, batch by batch, so that they take a
    quarter of the memory while they wait; everything else keeps its type.

    Args:
        samples: What to batch.
        device: Where the batches are wanted.
        stream: Whether to read samples batch by batch; `auto` does so if they do not fit into memory.
        workers: Processes that read.
    """

    def __init__(
        self,
        samples: Samples,
        device: torch.device,
        stream: Literal["auto", "always", "never"] = "auto",
        workers: int = 0,
    ) -> None:
        self.count = len(samples)
        self._device = device
        self._workers = workers
        self.streamed = stream == "always" or (stream == "auto" and not _fits(samples, device))
        if self.streamed:
            self._source = samples.x
        else:
            self._resident = _in_memory(samples.x, workers).to(device)

    def shuffled(
        self, batch_size: int, seed: int, epoch: int, start: int = 0, rank: int = 0, world: int = 1
    ) -> Iterator[torch.Tensor]:
        """One epoch from its batch number `start` on, in an order that depends on seed and epoch alone.

        A last, smaller batch is left out; the next epoch's order brings its samples in. Each of the
        `world` processes gets its own slice of every batch.
        """
        order = torch.randperm(self.count, generator=generator(seed, f"order {epoch}"))
        per_epoch = self.count // batch_size
        share = batch_size // world
        mine = order[: per_epoch * batch_size].view(per_epoch, batch_size)[start:, rank * share : (rank + 1) * share]
        yield from self._at(mine)

    def equal(self, batch_size: int, rank: int = 0, world: int = 1) -> Iterator[torch.Tensor]:
        """All samples in order, in batches of one size, `batch_size` or somewhat more; the few over are left out."""
        count = max(1, self.count // batch_size)
        share = self.count // (count * world)
        yield from self._at(torch.arange(count * world * share).view(count, world, share)[:, rank])

    def ordered(self, batch_size: int) -> Iterator[torch.Tensor]:
        """All samples in their own order; the last batch may be smaller."""
        if self.streamed:
            yield from self._at(torch.arange(self.count).split(batch_size))
        else:
            for rows in self._resident.split(batch_size):
                yield _pixels_as_float(rows)

    def _at(self, indices: torch.Tensor | tuple[torch.Tensor, ...]) -> Iterator[torch.Tensor]:
        if not self.streamed:
            for row in indices.to(self._device) if isinstance(indices, torch.Tensor) else indices:
                yield _pixels_as_float(self._resident[row])
            return
        loader: DataLoader[torch.Tensor] = DataLoader(
            self._source,  # type: ignore[arg-type]  # map-style: it has a length and takes an index
            batch_sampler=[row.tolist() for row in indices],
            num_workers=self._workers,
            generator=torch.Generator(),  # the global one belongs to the caller
            pin_memory=self._device.type == "cuda",
        )
        for batch in _one_line_errors(loader):
            yield _pixels_as_float(batch.to(self._device, non_blocking=True))


def _one_line_errors(loader: Iterable[torch.Tensor]) -> Iterator[torch.Tensor]:
    """The batches; an error that a reading process wrapped into its traceback becomes one line again."""
    try:
        yield from loader
    except DimeError as error:
        last = str(error).strip().splitlines()[-1]
        raise type(error)(last.removeprefix(f"{type(error).__module__}.{type(error).__name__}: ")) from error


def _pixels_as_float(x: torch.Tensor) -> torch.Tensor:
    return x.float().div_(255) if x.dtype == torch.uint8 else x


def _in_memory(x: torch.Tensor | Source, workers: int) -> torch.Tensor:
    if isinstance(x, torch.Tensor):
        return x
    chunks = torch.arange(len(x)).split(_DECODE_CHUNK)
    loader: DataLoader[torch.Tensor] = DataLoader(
        x,  # type: ignore[arg-type]  # map-style: it has a length and takes an index
        batch_sampler=[chunk.tolist() for chunk in chunks],
        num_workers=workers,
        generator=torch.Generator(),
    )
    return torch.cat(list(_one_line_errors(loader)))


def _fits(samples: Samples, device: torch.device) -> bool:
    """Whether the samples take at most half of the memory that is free."""
    size = samples.x[0].element_size() * samples.spec.elements * len(samples)
    free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else _free_memory()
    return size <= free / 2


def _free_memory() -> int:
    """Bytes of main memory that are available, or a quarter of all where the system does not say."""
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:
            return next(1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 4
