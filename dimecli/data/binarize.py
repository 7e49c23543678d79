"""Samples made zeros and ones, by draws that are the same in every run."""

from __future__ import annotations

from dataclasses import dataclass, replace

from dimecli.data.samples import Samples, Source
from dimecli.lazy import torch
from dimecli.seeds import generator

_SEED = 20_250_611
"""Every run of a dataset has the same pixels, whatever its own seed."""
_CHUNK = 4096  # samples that are float32 at a time


def binarised(samples: Samples, purpose: str) -> Samples:
    """Samples in [0, 1] made zeros and ones, their values the probabilities of a one; uint8 stays uint8, 0 or 255.

    Args:
        samples: Of which a `Source` is binarised sample by sample, when it is read.
        purpose: The split; another one has other draws.
    """
    if not isinstance(samples.x, torch.Tensor):
        return replace(samples, x=_Binarised(samples.x, purpose))
    rng = generator(_SEED, f"binarize {purpose}")
    return replace(samples, x=torch.cat([_draw(part, rng) for part in samples.x.split(_CHUNK)]))


@dataclass(frozen=True)
class _Binarised:
    source: Source
    purpose: str

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> torch.Tensor:
        return _draw(self.source[index], generator(_SEED, f"binarize {self.purpose} {index}"))

    def fingerprint(self) -> str:
        return f"{self.source.fingerprint()} binarised {self.purpose} {_SEED}"


def _draw(x: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    if x.dtype == torch.uint8:
        return torch.bernoulli(x / 255, generator=rng).byte() * 255
    return torch.bernoulli(x, generator=rng)
