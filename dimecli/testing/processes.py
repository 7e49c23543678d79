"""Whether two processes train an objective as one does: tried by two threads that take each other for processes."""

from __future__ import annotations

import copy
import math
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from queue import SimpleQueue
from typing import Any, NamedTuple

from dimecli.distributed import pretended
from dimecli.lazy import nn, torch
from dimecli.plugin import Loss, Objective
from dimecli.testing.contract import Contract
from dimecli.testing.expect import expect
from dimecli.testing.models import learning

_DRAWS = 16  # where those of two processes cannot be those of one
_DEVIATIONS = 6  # standard errors between means that may be by chance
_ENTRIES = 256  # of the gradient by one weight that are compared, at most
_ROUNDING = 1e-4  # relative error of float32 in the sums of a loss
_CURE = (
    "compute terms that couple the samples of a batch on dimecli.distributed.gather(codes), average the others "
    "over the batch, or set data_parallel = False"
)


class _Numbers(NamedTuple):
    """The terms and the losses of players, `(n,)`, and the gradient, each weight of its own loss, `(m,)`."""

    terms: torch.Tensor
    gradient: torch.Tensor


class _LeftError(AssertionError):
    """The other process gathers less often: this one would wait for ever."""


class _Process:
    """One of two, which sends its rows to the other; one at a time computes, the other waits for its turn."""

    world = 2

    def __init__(self, rank: int, turn: threading.Lock, letters: Sequence[SimpleQueue[torch.Tensor | None]]) -> None:
        self.rank, self._turn = rank, turn
        self._inbox, self._outbox = letters[rank], letters[1 - rank]

    def gather(self, x: torch.Tensor) -> torch.Tensor:
        """The rows of both, in the order of their ranks, in one graph."""
        self._outbox.put(x)
        self._turn.release()
        theirs = self._inbox.get()
        self._turn.acquire()
        if theirs is None:
            raise _LeftError("one process calls gather more often than the other; call it as often in each")
        wrong = f"one process gathers {tuple(x.shape)}, the other {tuple(theirs.shape)}"
        expect(x.shape == theirs.shape, wrong, "give gather the same shape in each")
        return torch.cat([x, theirs] if self.rank == 0 else [theirs, x])

    def run(self, loss: Callable[[], Loss]) -> Loss:
        """What the function gives in this process."""
        token = pretended.set(self)
        try:
            with self._turn:
                return loss()
        finally:
            pretended.reset(token)
            self._outbox.put(None)


def together(first: Callable[[], Loss], second: Callable[[], Loss]) -> list[Loss]:
    """What two functions give that run at once, each in a process of its own as far as `dimecli.distributed` tells.

    Raises:
        AssertionError: they do not gather alike, which real processes would hang in.
        Exception: whatever one of them raises.
    """
    turn = threading.Lock()  # what a loss switches in all of torch, such as kernels, is not the other's concern
    letters: tuple[SimpleQueue[torch.Tensor | None], ...] = (SimpleQueue(), SimpleQueue())
    with ThreadPoolExecutor(2) as pool:
        calls = [pool.submit(_Process(rank, turn, letters).run, loss) for rank, loss in enumerate((first, second))]
    errors = [error for call in calls if (error := call.exception())]
    for error in sorted(errors, key=lambda error: isinstance(error, _LeftError)):  # that one follows from others
        raise error
    return [call.result() for call in calls]


def check_processes(contract: Contract, objective: Objective, model: Any, x: torch.Tensor) -> None:
    """Compares the loss and the gradient of two processes with those of one.

    They have to be the same where all draws are, and otherwise the same in the mean over many.

    Args:
        contract: Keeps what came of it.
        objective: Gives the loss.
        model: What it built, which is left as it is.
        x: `(B, *shape)` data, of which each of two processes gets one half.
    """
    alone, *models = (copy.deepcopy(model) for _ in range(3))  # buffers of each process are its own

    def both(draw: int) -> tuple[_Numbers, _Numbers]:
        one = [partial(_loss, objective, alone, x, generators[0], draw, 1, 0)]
        two = [partial(_loss, objective, models[rank], x, generators[1 + rank], draw, 2, rank) for rank in range(2)]
        with _buffers_kept(alone, *models):
            return _numbers(objective, [one[0]()], [alone]), _numbers(objective, together(*two), models)

    with contract.section("in two processes"):
        with contract.needed("each computes the loss of its half of the batch"):
            names = [*objective.loss(copy.deepcopy(model), x, torch.Generator()).terms, *objective.players]
            generators = [torch.Generator().manual_seed(seed) for seed in range(3)]
            before = [generator.get_state() for generator in generators]
            pairs = [both(0)]
            others = not all(map(torch.equal, before, [generator.get_state() for generator in generators]))
            if others and (_differing_terms(names, pairs) or _is_another_gradient(pairs)):
                pairs += [both(draw) for draw in range(1, _DRAWS)]
        with contract.promise("their mean loss is that of one process on the whole batch"):
            wrong = _differing_terms(names, pairs)
            expect(not wrong, "; ".join(wrong), _CURE)
        with contract.promise("their mean gradient is that of one process on the whole batch"):
            expect(not _is_another_gradient(pairs), "it is another", _CURE)


def _loss(
    objective: Objective, model: Any, x: torch.Tensor, others: torch.Generator, draw: int, world: int, rank: int
) -> Loss:
    """The loss of one process's part of the batch; `others` gives what is not drawn for the samples of the batch."""
    from dimecli.testing.draws import RowsOfOne

    part = x.chunk(world)[rank]
    with RowsOfOne(draw, len(part), world, rank):
        return objective.loss(model, part, others)


@contextmanager
def _buffers_kept(*models: nn.Module) -> Iterator[None]:
    """What a step moves besides weights, such as a spectral norm's vectors, is put back."""
    before = [(buffer, buffer.clone()) for model in models for buffer in model.buffers()]
    yield
    for buffer, value in before:
        buffer.copy_(value)


def _numbers(objective: Objective, losses: Sequence[Loss], models: Sequence[Any]) -> _Numbers:
    """The terms and the losses of players, averaged over processes; and the gradient, each weight of its own loss."""
    rows = [torch.stack([*loss.terms.values(), *(loss.players[name] for name in objective.players)]) for loss in losses]
    mean = torch.stack(rows).mean(0)
    own = len(mean) - len(objective.players)
    parts = []
    for value, *weights in zip(
        [mean[:own].sum(), *mean[own:]], *(learning(objective, model) for model in models), strict=True
    ):
        flat = [weight for of_one in weights for weight in of_one]
        found = torch.autograd.grad(value, flat, retain_graph=True, allow_unused=True, materialize_grads=True)
        thinned = [gradient.flatten()[:: len(gradient.flatten()) // _ENTRIES + 1] for gradient in found]
        parts.append(torch.cat(thinned).view(len(models), -1).sum(0))
    return _Numbers(mean.detach(), torch.cat(parts))


def _differing_terms(names: Sequence[str], pairs: Sequence[tuple[_Numbers, _Numbers]]) -> list[str]:
    """The terms whose means differ by more than chance, and than rounding in proportion to what is summed."""
    one, two = (torch.stack([pair[i].terms for pair in pairs]) for i in range(2))  # (K, n)
    size, means = one.abs().mean(0), (one.mean(0).tolist(), two.mean(0).tolist())
    is_off = _differs(two - one, _ROUNDING * (size + 0.1 * size.mean())).tolist()
    told = zip(names, is_off, *means, strict=True)
    return [f"term '{name}' is {second:.6g}, of one process {first:.6g}" for name, off, first, second in told if off]


def _is_another_gradient(pairs: Sequence[tuple[_Numbers, _Numbers]]) -> bool:
    """Whether the mean gradients differ, tested along the one direction in which they seem to.

    The first half of the draws says which direction that is, in units of their standard deviations; the
    second half is what is tested. So it is one test, whatever the number of weights.
    """
    one, two = (torch.stack([pair[i].gradient for pair in pairs]) for i in range(2))  # (K, n)
    rounding = _ROUNDING * torch.linalg.vector_norm(one.mean(0))
    differences = two - one
    if len(pairs) == 1:
        return bool(torch.linalg.vector_norm(differences) > rounding)
    guess, test = differences[::2], differences[1::2]
    direction = guess.mean(0) / (guess.var(0) + rounding.square())
    direction /= torch.linalg.vector_norm(direction).clamp_min(1e-30)
    return bool(_differs(test @ direction, rounding))


def _differs(differences: torch.Tensor, rounding: torch.Tensor) -> torch.Tensor:
    """Whether the mean over dimension 0 is not 0: of one draw but for rounding, of several but for chance too."""
    count = len(differences)
    error = differences.std(0) / math.sqrt(count) if count > 1 else 0.0
    return differences.mean(0).abs() > _DEVIATIONS * error + rounding
