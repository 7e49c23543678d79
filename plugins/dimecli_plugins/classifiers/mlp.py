"""A multilayer perceptron."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated

from pydantic import Field

from dimecli.lazy import F, nn, torch
from dimecli.plugin import Classifier, FittedClassifier, Labelled

CHECKS = 20
"""How often in a fit the validation codes are looked at."""
PATIENCE = 5
"""Checks without progress after which a fit ends; it also ends once all are told right."""
_BATCH = 1000  # codes that are told at a time


class MLP(Classifier):
    """A multilayer perceptron: 1000, 500 and 100 ReLU units and a softmax (InfoMax-VAE, Table 7).

    Adam minimises the cross-entropy; the weights that tell most of the validation codes are kept. Preset
    `dime-code`: the head of DIME's released code, two hidden layers as wide as the codes, with dropout; the
    number of steps is ours.
    """

    widths: tuple[Annotated[int, Field(ge=0)], ...] = Field(
        (1000, 500, 100),
        description="Units of the hidden layers; 0: as many as the codes have dimensions; '': no hidden layer.",
    )
    dropout: float = Field(0.0, ge=0, lt=1, description="Share of the hidden units that each step leaves out.")
    steps: int = Field(2000, ge=1, description="Most steps.")
    batch_size: int = Field(250, ge=1, description="Codes in a step.")
    lr: float = Field(1e-3, gt=0, description="Learning rate of Adam.")

    presets = {"dime-code": {"classifier": {"widths": [0, 0], "dropout": 0.5, "steps": 10_000}}}

    def fit(self, train: Labelled, validation: Labelled, rng: torch.Generator) -> FittedClassifier:
        """The network at the step that was best on the validation codes; the first of equals."""
        from dimecli.nn.fit import fresh_weights

        every = math.ceil(self.steps / CHECKS)
        best, best_step, kept = -1, 0, {}
        with fresh_weights(rng):  # dropout, too, draws from the generator that this puts in place of the global one
            network = self._network(train.codes.shape[1], train.classes)
            optimizer = torch.optim.Adam(network.parameters(), self.lr)
            for step in range(1, self.steps + 1):
                chosen = torch.randint(len(train.codes), (self.batch_size,), generator=rng)
                F.cross_entropy(network(train.codes[chosen]), train.labels[chosen]).backward()
                optimizer.step()
                optimizer.zero_grad()
                if step % every and step < self.steps:
                    continue
                found = MLPFit(network.eval()).predict(validation.codes)
                network.train()
                right = int(found.eq(validation.labels).sum())
                if right > best:
                    best, best_step, kept = right, step, copy.deepcopy(network.state_dict())
                if right == len(validation.codes) or step - best_step >= PATIENCE * every:
                    break
        network.load_state_dict(kept)
        return MLPFit(network.eval())

    def restore(self, state: Mapping[str, torch.Tensor]) -> FittedClassifier:
        """The classifier of that state."""
        from dimecli.nn.fit import fresh_weights

        with fresh_weights(torch.Generator()):
            network = self._network(state["0.weight"].shape[1], len(state[f"{3 * len(self.widths)}.bias"]))
        network.load_state_dict(state)
        return MLPFit(network.eval())

    def _network(self, size: int, classes: int) -> nn.Sequential:
        """From `(B, size)` codes to `(B, classes)` logits."""
        sizes = [size, *(width or size for width in self.widths)]
        layers: list[nn.Module] = []
        for before, after in pairwise(sizes):
            layers += [nn.Linear(before, after), nn.ReLU(), nn.Dropout(self.dropout)]
        return nn.Sequential(*layers, nn.Linear(sizes[-1], classes))


@dataclass(frozen=True)
class MLPFit:
    """A network that gives logits, in its evaluation mode."""

    network: nn.Sequential

    def predict(self, codes: torch.Tensor) -> torch.Tensor:
        """The class with the largest logit."""
        with torch.no_grad():
            return torch.cat([self.network(part).argmax(1) for part in codes.split(_BATCH)])

    def state(self) -> dict[str, torch.Tensor]:
        """The weights by name."""
        return dict(self.network.state_dict())
