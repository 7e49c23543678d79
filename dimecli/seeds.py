"""One seed, split by purpose: no two uses share a stream, and none depends on how many draws came before."""

from __future__ import annotations

import hashlib

from dimecli.lazy import torch


def derive(seed: int, purpose: str) -> int:
    """A seed below 2^62 for one purpose of a run, such as `weights` or `order 7`."""
    return int.from_bytes(hashlib.sha256(f"{seed} {purpose}".encode()).digest()[:8], "big") >> 2


def generator(seed: int, purpose: str, device: str | torch.device = "cpu") -> torch.Generator:
    """A fresh generator for one purpose of a run."""
    return torch.Generator(device).manual_seed(derive(seed, purpose))
