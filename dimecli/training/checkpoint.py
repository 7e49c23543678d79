"""The state of training at one step, in one file: a run that resumes from it ends with the same bits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch

from dimecli.errors import DimeError
from dimecli.run.files import read_tensors, write_tensors

Tensors = dict[str, torch.Tensor]


@dataclass
class State:
    """Where training stands, besides tensors. Noise and order depend on the step alone and need no state."""

    step: int = 0
    best: dict[str, float] = field(default_factory=dict)  # the validation terms whose total was lowest
    best_step: int = 0
    stale: int = 0  # epochs since the loss was that low, or since the rate was halved
    halvings: int = 0  # of the learning rate
    seconds: float = 0.0  # spent so far, over all resumes
    sums: dict[str, float] = field(default_factory=dict)  # of the terms, over the epoch's steps so far


def save(
    path: Path, state: State, models: Mapping[str, torch.nn.Module], optimizer: torch.optim.Optimizer, best: Tensors
) -> None:
    """Write a checkpoint of one or several models; the one before it stays until this one is whole."""
    moments = optimizer.state_dict()["state"]
    tensors = {f"{key}/{name}": tensor for key, one in models.items() for name, tensor in one.state_dict().items()}
    tensors |= {f"best/{name}": tensor for name, tensor in best.items()}
    tensors |= {f"optimizer/{i}/{name}": tensor for i, entry in moments.items() for name, tensor in entry.items()}
    write_tensors(path, tensors, asdict(state))


def load(path: Path, models: Mapping[str, torch.nn.Module], optimizer: torch.optim.Optimizer) -> tuple[State, Tensors]:
    """Put a checkpoint's tensors back; returns the state and the best weights.

    Raises:
        DimeError: the file is damaged or belongs to another model.
    """
    tensors, about = read_tensors(path)
    moments: dict[int, Tensors] = {}
    for key, tensor in _under("optimizer/", tensors).items():
        index, _, name = key.partition("/")
        moments.setdefault(int(index), {})[name] = tensor
    try:
        for key, model in models.items():
            model.load_state_dict(_under(f"{key}/", tensors))
        weights = [weight for group in optimizer.param_groups for weight in group["params"]]
        for number, weight in enumerate(weights):
            for name, tensor in moments.get(number, {}).items():
                if tensor.shape == weight.shape:  # fused Adam walks both by memory: the layouts must agree
                    moments[number][name] = torch.empty_like(weight).copy_(tensor)
        optimizer.load_state_dict({**optimizer.state_dict(), "state": moments})
        return State(**about), _under("best/", tensors)
    except (RuntimeError, TypeError, ValueError, KeyError) as error:
        raise DimeError(f"{path} does not belong to this run: {str(error).splitlines()[0]}") from error


def _under(prefix: str, tensors: Mapping[str, torch.Tensor]) -> Tensors:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
