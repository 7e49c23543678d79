"""The terms of the loss over an epoch: averaged, and watched for NaN and infinity."""

from __future__ import annotations

import math

import torch

from dimecli import distributed
from dimecli.errors import DimeError


class NotFiniteError(DimeError):
    """A term became NaN or infinite."""


class Terms:
    """Sums of named terms since the epoch began.

    Steps are looked at in windows: where looking is not free (a GPU, other processes) one look
    serves many steps.

    Args:
        sums: The sums so far, kept up to date; part of a checkpoint.
        steps_per_epoch: To say where in the data a step was.
        window: Steps between two looks.
    """

    def __init__(self, sums: dict[str, float], steps_per_epoch: int, window: int) -> None:
        self.sums = sums
        self._steps_per_epoch = steps_per_epoch
        self._window = window
        self._rows: list[torch.Tensor] = []
        self._names: tuple[str, ...] = ()

    def add(self, terms: dict[str, torch.Tensor]) -> torch.Tensor:
        """Note the terms of a step; returns them in one tensor."""
        self._names = tuple(terms)
        row = torch.stack(tuple(terms.values()))
        self._rows.append(row.detach())
        return row

    def is_due(self) -> bool:
        """Whether it is time to look."""
        return len(self._rows) >= self._window

    def look(self, step: int) -> None:
        """Add what was noted to the sums; `step` steps are done.

        Raises:
            NotFiniteError: names the first bad term, its step and its batch.
        """
        if not self._rows:
            return
        rows = distributed.average(torch.stack(self._rows)).tolist()
        self._rows.clear()
        for number, row in enumerate(rows, start=step - len(rows)):
            for name, value in zip(self._names, row, strict=True):
                if not math.isfinite(value):
                    epoch, batch = divmod(number, self._steps_per_epoch)
                    raise NotFiniteError(
                        f"term '{name}' is {value} at step {number + 1} "
                        f"(epoch {epoch + 1}, batch {batch + 1} of {self._steps_per_epoch})"
                    )
                self.sums[name] = self.sums.get(name, 0.0) + value

    def means(self, step: int) -> dict[str, float]:
        """The terms averaged over the epoch's steps; `step` steps are done."""
        steps = (step - 1) % self._steps_per_epoch + 1
        return {name: total / steps for name, total in self.sums.items()}
