"""Distributions over codes that are networks, and how they are fitted. Importing this module imports torch."""

from __future__ import annotations

import copy
import math
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import nn

from dimecli.errors import DimeError
from dimecli.plugin import Context

CHECKS = 40
"""How often in a fit the held-out rows are looked at."""
PATIENCE = 8
"""Checks without progress after which a fit ends."""


class LearnedDensity(nn.Module):
    """A distribution over codes whose state is its weights and buffers, among them how its fit went."""

    steps: torch.Tensor  # () taken
    held_out: torch.Tensor  # () best loss on the rows that were held out

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("steps", torch.tensor(0))
        self.register_buffer("held_out", torch.tensor(math.inf))

    @abstractmethod
    def loss(self, rows: torch.Tensor, noise: torch.Generator) -> torch.Tensor:
        """What is minimised, a mean over `(B, ...)` rows; what it draws is from the generator."""

    @abstractmethod
    def sample(self, n: int, rng: torch.Generator) -> torch.Tensor:
        """`(n, l)` draws."""

    @abstractmethod
    def log_prob(self, z: torch.Tensor) -> torch.Tensor:
        """`(n,)` nats of `(n, l)` codes."""

    def state(self) -> dict[str, torch.Tensor]:
        """Weights and buffers by name."""
        return dict(self.state_dict())


Learned = TypeVar("Learned", bound=LearnedDensity)


@contextmanager
def fresh_weights(rng: torch.Generator) -> Iterator[None]:
    """Modules made inside get weights that depend on `rng` alone; torch's global generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(int(torch.randint(2**62, (), generator=rng)))
        yield


def restored(make: Callable[[], Learned], state: Mapping[str, torch.Tensor]) -> Learned:
    """What `make` makes, with this `state()`."""
    with fresh_weights(torch.Generator()):
        density = make()
    density.load_state_dict(state, assign=True)
    return density.requires_grad_(False)


def fit(
    density: Learned,
    rows: torch.Tensor,
    rng: torch.Generator,
    context: Context,
    *,
    steps: int,
    batch_size: int,
    lr: float,
) -> Learned:
    """The density with weights trained by Adam, at a rate that falls to 0 as a cosine, on the context's device.

    A tenth of the rows are held out; the weights that are best on them are kept, and the fit ends
    once `PATIENCE` of `CHECKS` checks brought nothing better.

    Args:
        density: What is trained, in place; it ends on the CPU, without gradients.
        rows: `(N, ...)` for its loss, N >= 2.
        rng: Source of the order, and of the seed of the noise.
        context: Device and reporter.
        steps: Most steps.
        batch_size: Rows drawn for each, with replacement.
        lr: First learning rate.

    Raises:
        DimeError: no loss on the held-out rows was finite.
    """
    shuffled = rows[torch.randperm(len(rows), generator=rng)].to(context.device)
    count = max(1, len(rows) // 10)
    held_out, train = shuffled[:count], shuffled[count:]
    noise = torch.Generator(context.device).manual_seed(int(torch.randint(2**62, (), generator=rng)))
    judging = noise.initial_seed() + 1  # the same noise at every check, so that they compare
    density.to(context.device)
    optimizer = torch.optim.Adam(density.parameters(), lr)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    every = math.ceil(steps / CHECKS)
    best = copy.deepcopy(density.state_dict())
    with context.reporter.progress("Fitting", steps, "step", transient=True) as progress:
        for step in range(1, steps + 1):
            chosen = torch.randint(len(train), (batch_size,), generator=rng).to(context.device)
            density.loss(train[chosen], noise).backward()
            optimizer.step()
            optimizer.zero_grad()
            schedule.step()
            if step % every and step < steps:
                continue
            with torch.no_grad():
                value = density.loss(held_out, torch.Generator(context.device).manual_seed(judging))
            progress.update(step, nats=min(value.item(), best["held_out"].item()))
            if value < best["held_out"]:
                density.steps.fill_(step)
                density.held_out.fill_(value)
                best = copy.deepcopy(density.state_dict())
            elif step - best["steps"] >= PATIENCE * every:
                break
    if not best["held_out"].isfinite():
        raise DimeError("the fit of the density diverged; lower its --lr")
    kept, nats = int(best["steps"]), best["held_out"].item()
    context.reporter.say(
        f"Fitted in {step} steps; kept those of step {kept}, a loss of {nats:.4g} nats on codes held out"
    )
    density.load_state_dict(best)
    return density.to("cpu").requires_grad_(False)
