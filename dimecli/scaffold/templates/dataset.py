"""Points on rings."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field

from dimecli.data.likelihood import Gaussian
from dimecli.lazy import torch
from dimecli.plugin import Dataset, Samples, Spec


class Example(Dataset):
    """Points in the plane on rings around the origin, with Gaussian noise; the classes are the rings.

    `x = k (cos t, sin t) + noise e` with `e ~ N(0, I)`, the angle t uniform and k = 1, 2, ... the radius.
    """

    rings: int = Field(3, ge=1, le=100, description="Rings, of which the k-th has radius k.")
    noise: float = Field(0.05, ge=0, description="Standard deviation of the noise.")
    samples: int = Field(2000, ge=10, description="Training samples, and as many test samples.")

    def read(self, split: Literal["train", "test"]) -> Samples:
        """`(samples, 2)` float32 points and their rings, the same ones each time."""
        rng = torch.Generator().manual_seed(int(split == "test"))
        ring = torch.randint(self.rings, (self.samples,), generator=rng)
        angle = 2 * math.pi * torch.rand(self.samples, generator=rng)
        x = (ring + 1)[:, None] * torch.stack([angle.cos(), angle.sin()], dim=1)  # (N, 2)
        x = x + self.noise * torch.randn(x.shape, generator=rng)
        spec = Spec(modality="vector", shape=(2,), likelihood=Gaussian(), classes=tuple(map(str, range(self.rings))))
        return Samples(spec, x, ring)
