"""The loss of a batch, and what it tells about a model without training it."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import nn

from dimecli import distributed
from dimecli.errors import PluginError
from dimecli.model import Autoencoder
from dimecli.plugin import Loss, Objective
from dimecli.registry import entry_of


class Step(nn.Module):
    """The loss of a batch as a module's forward, so that DDP and torch.compile see the whole step."""

    def __init__(self, objective: Objective, model: Autoencoder, rng: torch.Generator) -> None:
        super().__init__()
        self.objective = objective
        self.model = model
        self.rng = rng

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        """The named terms of a `(B, *shape)` batch, scalars; the losses of further players come last."""
        x = self.model.spec.likelihood.observe(x, self.rng)
        loss = self.objective.loss(self.model, x, self.rng)
        if wrong := _fault(loss, self.objective.players):
            raise PluginError(f"{entry_of(self.objective)}: loss {wrong}")
        return loss.terms | {name: loss.players[name] for name in self.objective.players}


def _fault(loss: object, players: Iterable[str]) -> str:
    """What an objective returned in place of scalars with names, and the cure; looks at no values."""
    if not isinstance(loss, Loss):
        return f"gives {type(loss).__name__}; return Loss(reconstruction=..., ...)"
    if not loss.terms:
        return "gives no term; return Loss(reconstruction=..., ...)"
    for name, term in (*loss.terms.items(), *loss.players.items()):
        if not isinstance(term, torch.Tensor):
            return f"gives term '{name}' as {type(term).__name__}; return tensors"
        if term.ndim:
            return f"gives term '{name}' of shape {tuple(term.shape)}; return scalars, such as means over the batch"
    missing = [name for name in players if name not in loss.players]
    return f"gives none for player '{missing[0]}'; return Loss(players={{...}}, ...)" if missing else ""


def compute_in_bfloat16(module: nn.Module, device: torch.device) -> None:
    """Let a network compute in bfloat16 and give float32; what is around it stays in float32.

    A whole loss in bfloat16 would get the matrix products of batch-wide terms wrong: the
    log-potential of codes that lie close together loses its gradient.
    """
    forward = module.forward

    def autocast(*arguments: torch.Tensor) -> torch.Tensor:
        with torch.autocast(device.type, torch.bfloat16):
            result: torch.Tensor = forward(*arguments)
        return result.float()

    module.forward = autocast


def evaluate(step: Step, batches: Iterable[torch.Tensor]) -> dict[str, float]:
    """The terms averaged over batches of one size and over all processes, and their total without further players.

    Gradients are off: an objective whose loss contains one turns them on for it.
    """
    step.model.eval()
    with torch.no_grad():
        terms = [step(x) for x in batches]
    step.model.train()
    rows = torch.stack([torch.stack(tuple(row.values())) for row in terms])
    means = distributed.average(rows.mean(0)).tolist()
    return with_total(dict(zip(terms[0], means, strict=True)), step.objective)


def with_total(terms: dict[str, float], objective: Objective) -> dict[str, float]:
    """The terms and the sum of those that are not a further player's."""
    return {**terms, "total": math.fsum(value for name, value in terms.items() if name not in objective.players)}


def gradient_shares(step: Step, x: torch.Tensor) -> dict[str, float]:
    """Of each term, its share of the gradient's length on the encoder's weights, on one `(B, *shape)` batch.

    A term whose share is near 0 does nothing to the codes, whatever its value. One that does not
    depend on the encoder, such as a penalty on the decoder, has no share.
    """
    weights = [weight for weight in step.model.encoder.parameters() if weight.requires_grad]
    step.model.eval()
    terms = {name: term for name, term in step(x).items() if name not in step.objective.players}
    norms = {name: norm for name, term in terms.items() if (norm := _gradient_norm(term, weights)) is not None}
    step.model.train()
    if not norms:
        return {}  # an encoder without weights
    lengths = torch.stack(tuple(norms.values()))
    return dict(zip(norms, (lengths / lengths.sum().clamp_min(1e-38)).tolist(), strict=True))


def _gradient_norm(term: torch.Tensor, weights: list[nn.Parameter]) -> torch.Tensor | None:
    if not term.requires_grad:
        return None
    found = torch.autograd.grad(term, weights, retain_graph=True, allow_unused=True)
    gradients = [gradient for gradient in found if gradient is not None]
    if not gradients:
        return None
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    norm: torch.Tensor = torch.linalg.vector_norm(distributed.average(flat))
    return norm
