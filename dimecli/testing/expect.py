"""What all checks say and share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from dimecli.lazy import torch


def expect(holds: object, wrong: str, cure: str) -> None:
    """Raises an AssertionError that says what is wrong, and the cure, unless it holds."""
    if not holds:
        raise AssertionError(f"{wrong}; {cure}")


def check_tensor(x: torch.Tensor, shape: tuple[int, ...], where: str) -> None:
    """Raises an AssertionError unless x has that shape and is finite."""
    expect(x.shape == shape, f"{where} is {tuple(x.shape)}", f"return {tuple(shape)}")
    expect(x.isfinite().all(), f"{where} has NaN or infinite values", "keep it finite")


def seeded() -> torch.Generator:
    """The generator that checks hand out: the same each time."""
    return torch.Generator().manual_seed(1)


@contextmanager
def only_own_randomness() -> Iterator[None]:
    """Raises an AssertionError if what is done inside draws from torch's global generator."""
    before = torch.random.get_rng_state()
    yield
    untouched = torch.equal(before, torch.random.get_rng_state())
    expect(untouched, "it draws from torch's global generator", "draw from `rng` only")
