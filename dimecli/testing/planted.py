"""Tiny runs that are trained, and what is worse than they are. Importing this module imports torch."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import nn

from dimecli.data.sentences import Productions
from dimecli.model import LatentVariableModel
from dimecli.seeds import generator
from dimecli.testing.runs import CODES, TinyRun, tiny_runs

_STEPS, _RATE = 200, 0.02


def trained(name: str, run: TinyRun) -> TinyRun:
    """One of `tiny_runs` with trained weights, so that it can become worse."""
    other = _copy(run)
    other.model.load_state_dict(_weights(name))
    return other


def worse(run: TinyRun) -> Iterator[tuple[str, TinyRun]]:
    """A trained run in which one thing is made worse, several times, and what that is."""
    broken = _copy(run)
    decoder: Any = broken.model.decoder
    decoder[0].weight.zero_()
    decoder[0].bias.copy_(_far(run).flatten())
    yield "a decoder that says the same of every code", broken
    collapsed = _copy(run)
    collapsed.training_codes = run.training_codes  # samples stay those of the run as it is
    encoder: Any = [part for part in collapsed.model.encoder.modules() if isinstance(part, nn.Linear)][-1]
    encoder.weight.mul_(1e-3)
    encoder.bias.zero_()
    encoder.bias[:CODES] = 3.0  # those are the means, far from a prior's; the others, if any, are log-variances
    yield "an encoder that has all codes near one point", collapsed


def copying(run: TinyRun) -> Iterator[tuple[str, TinyRun]]:
    """A run that has learned nothing but its training samples by heart, which most numbers take for the best."""
    other = _copy(run)
    other.copies = _training(run)
    yield "samples that are those of training", other


@cache
def _weights(name: str) -> dict[str, torch.Tensor]:
    """What training makes of the weights of one of `tiny_runs`; once for all metrics."""
    with tempfile.TemporaryDirectory() as folder:
        run = dict(tiny_runs(Path(folder)))[name]
    x, model = _training(run), run.model.requires_grad_(True)
    rng, optimizer = generator(0, "tiny training"), torch.optim.Adam(model.parameters(), _RATE)
    for _ in range(_STEPS):
        if isinstance(model, LatentVariableModel):
            loss = -model.log_weight(x, rng).mean()
        else:
            loss = model.nll(x, model.encode(x)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model.state_dict()


def _training(run: TinyRun) -> torch.Tensor:
    x: Any = run.samples("train").x
    found: torch.Tensor = x
    return found


def _copy(run: TinyRun) -> TinyRun:
    """A run with weights of its own, on the same data."""
    other = copy.copy(run)
    other.model = copy.deepcopy(run.model)
    other.__dict__.pop("training_codes", None)  # those of the other weights
    return other


def _far(run: TinyRun) -> torch.Tensor:
    """What a decoder is to say whatever the code: noise, or a sentence that is unlike those of the test split."""
    spec = run.model.spec
    shape = spec.likelihood.parameters(spec.shape)
    if isinstance(spec.likelihood, Productions):
        test: Any = run.samples("test").x
        training, others = (nn.functional.one_hot(x.long(), shape[-1]).float() for x in (_training(run), test))
        farthest = torch.cdist(training.flatten(1), others.flatten(1)).min(1).values.argmax()
        return 20.0 * training[farthest]
    return 5.0 * torch.randn(shape, generator=generator(0, "tiny noise"))
