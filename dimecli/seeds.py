"""One seed, split by purpose: no two uses share a stream, and none depends on how many draws came before."""

from __future__ import annotations

import hashlib

from dimecli.lazy import np, torch


def derive(seed: int, purpose: str) -> int:
    """A seed below 2^62 for one purpose of a run, such as `weights` or `order 7`."""
    return int.from_bytes(hashlib.sha256(f"{seed} {purpose}".encode()).digest()[:8], "big") >> 2


class Noise:
    """Generators whose draws in a step depend on the run's seed, the process and the step alone.

    So no generator's state needs to be saved to resume. Objectives draw from `rng`; what draws from
    torch's global generators, such as dropout, is reseeded with them.
    """

    def __init__(self, seed: int, rank: int, device: torch.device) -> None:
        self.rng = torch.Generator(device)
        self._device = device
        self._own, self._global = derive(seed, f"noise {rank}"), derive(seed, f"global noise {rank}")

    def at(self, step: int) -> None:
        """Go to the start of a step."""
        self.rng.manual_seed(self._own + step)
        torch.default_generator.manual_seed(self._global + step)
        if self._device.type == "cuda":
            torch.cuda.default_generators[self._device.index or 0].manual_seed(self._global + step)
        elif self._device.type == "mps":
            torch.mps.manual_seed(self._global + step)


def generator(seed: int, purpose: str, device: str | torch.device = "cpu") -> torch.Generator:
    """A fresh generator for one purpose of a run."""
    return torch.Generator(device).manual_seed(derive(seed, purpose))


def numpy_generator(rng: torch.Generator) -> np.random.Generator:
    """A fresh generator of numpy's, seeded by a draw from one of torch's."""
    return np.random.default_rng(int(torch.randint(2**62, (), generator=rng)))
