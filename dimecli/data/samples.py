"""The samples of one split: in memory, or read one by one when they are needed."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from dimecli.data.spec import Spec
from dimecli.errors import UserError
from dimecli.lazy import torch

Split = Literal["train", "validation", "test"]

SPLIT_SEED = 20_240_229
"""Every run of a dataset validates on the same samples, whatever its own seed."""


class Source(Protocol):
    """Samples that are read one by one, such as image files."""

    def __len__(self) -> int:
        """Number of samples."""

    def __getitem__(self, index: int) -> torch.Tensor:
        """One sample, `shape`, uint8, float32 or int16."""

    def fingerprint(self) -> str:
        """A hash that changes when the samples do."""


@dataclass(frozen=True)
class Samples:
    """The samples of a split.

    `x` is `(N, *shape)`: uint8 (a pixel's 0..255), float32, or int16 (the symbols of a sentence); or a
    `Source`. `y` is `(N,)` int64 or None.
    """

    spec: Spec
    x: torch.Tensor | Source
    y: torch.Tensor | None = None

    def __len__(self) -> int:
        return len(self.x)

    def take(self, indices: Sequence[int]) -> Samples:
        """The samples at `indices`, in that order."""
        chosen = torch.as_tensor(indices)
        x = self.x[chosen] if isinstance(self.x, torch.Tensor) else _Taken(self.x, tuple(indices))
        return Samples(self.spec, x, None if self.y is None else self.y[chosen])

    def fingerprint(self) -> str:
        """SHA-256 over shape, likelihood, values and labels; of files, over what their source says."""
        digest = hashlib.sha256(f"{self.spec.shape} {self.spec.likelihood.options()}".encode())
        if isinstance(self.x, torch.Tensor):
            digest.update(self.x.contiguous().numpy().data)
        else:
            digest.update(self.x.fingerprint().encode())
        if self.y is not None:
            digest.update(self.y.contiguous().numpy().data)
        return digest.hexdigest()


def fault(samples: object) -> str | None:
    """What a dataset gives in place of samples as their spec says, and the cure; None if they are. Looks at one."""
    if not isinstance(samples, Samples):
        return f"gives {type(samples).__name__}; return Samples(spec, x, y)"
    if not len(samples):
        return None
    first, y = samples.x[0], samples.y
    if tuple(first.shape) != samples.spec.shape:
        return f"gives samples of shape {tuple(first.shape)}, their spec says {samples.spec.shape}; make them agree"
    if first.dtype not in (torch.uint8, torch.float32, torch.int16):
        return f"gives {first.dtype}; give pixels as uint8, symbols as int16, all else as float32"
    if y is not None and (y.dtype != torch.int64 or tuple(y.shape) != (len(samples),)):
        return f"gives labels {tuple(y.shape)} {y.dtype}; give ({len(samples)},) int64"
    return None


@dataclass(frozen=True)
class _Taken:
    source: Source
    indices: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> torch.Tensor:
        return self.source[self.indices[index]]

    def fingerprint(self) -> str:
        return hashlib.sha256(f"{self.source.fingerprint()} {self.indices}".encode()).hexdigest()


def split_off(samples: Samples, share: float, option: str) -> tuple[Samples, Samples]:
    """The samples without, and with, a `share` of them chosen once and for all; `option` sets the share.

    Raises:
        UserError: one of the two parts would be empty.
    """
    count = len(samples)
    taken = round(share * count)
    if not 0 < taken < count:
        raise UserError(f"{option} {share}: that share of {count} samples leaves one part empty; give more samples")
    order = torch.randperm(count, generator=torch.Generator().manual_seed(SPLIT_SEED)).tolist()
    return samples.take(sorted(order[taken:])), samples.take(sorted(order[:taken]))
