"""Who minimises what: the weights of a model in groups, each with a loss and a learning rate of its own."""

from __future__ import annotations

import torch
from torch import nn

from dimecli.model import Autoencoder
from dimecli.plugin import Objective
from dimecli.training.settings import TrainSettings

_LEAST_LENGTH = 1e-7  # added to the length of a gradient that is divided by it


class Players:
    """Groups of weights and their optimiser: further players of the objective, and before them all other weights.

    Args:
        objective: Names its players.
        model: Whose weights are meant.
        settings: The optimiser, the rate of the first group, clipping, warm-up.
        device: Where the weights are.
    """

    def __init__(self, objective: Objective, model: Autoencoder, settings: TrainSettings, device: torch.device) -> None:
        self._settings, self._fixed = settings, objective.fixed_terms
        self.names = tuple(objective.players)
        rivals = {name: list(model.get_submodule(name).parameters()) for name in self.names}
        taken = {id(weight) for weights in rivals.values() for weight in weights}
        first = [weight for weight in model.parameters() if id(weight) not in taken]
        self._groups = [first, *rivals.values()]
        self._rates = [settings.lr, *objective.players.values()]
        groups = [{"params": weights, "lr": rate} for weights, rate in zip(self._groups, self._rates, strict=True)]
        self.optimizer: torch.optim.Optimizer
        if settings.optimizer == "adamax":
            self.optimizer = torch.optim.Adamax(groups)
        else:
            self.optimizer = torch.optim.Adam(groups, fused=device.type in ("cpu", "cuda"))

    def step(self, terms: dict[str, torch.Tensor], row: torch.Tensor, warmth: float, decay: float) -> None:
        """Each group takes a step down its own loss.

        Args:
            terms: The objective's terms by name, those of the players last.
            row: Their values, one tensor.
            warmth: Weight of the terms that a warm-up raises, in [0, 1].
            decay: Factor on every learning rate.
        """
        self._backward(list(terms), row, warmth)
        for weights in self._groups:
            if self._settings.optimizer == "adam-norm-grad":
                for weight in weights:
                    if weight.grad is not None:
                        weight.grad /= torch.linalg.vector_norm(weight.grad) + _LEAST_LENGTH
            if self._settings.clip is not None:
                nn.utils.clip_grad_norm_(weights, self._settings.clip)
        for group, rate in zip(self.optimizer.param_groups, self._rates, strict=True):
            group["lr"] = rate * decay
        self.optimizer.step()
        self.optimizer.zero_grad()

    def _backward(self, names: list[str], row: torch.Tensor, warmth: float) -> None:
        own = row[: len(row) - len(self.names)] if self.names else row
        if warmth < 1:
            factors = [1.0 if name in self._fixed else warmth for name in names[: len(own)]]
            own = own * torch.tensor(factors, dtype=row.dtype, device=row.device)
        if not self.names:
            own.sum().backward()
            return
        own.sum().backward(inputs=self._groups[0], retain_graph=True)
        for loss, weights in zip(row[len(own) :], self._groups[1:], strict=True):
            loss.backward(inputs=weights, retain_graph=True)
