"""Decoding: from the logits of every step to derivations."""

from __future__ import annotations

from typing import NamedTuple

import torch

from dimecli.grammar.grammar import Grammar
from dimecli.grammar.walk import Tables, Walk

__all__ = ["Decoded", "Tables", "Walk", "choose", "decode", "log_prob", "vote"]


class Decoded(NamedTuple):
    """What was decoded from logits of T steps.

    `ids` is `(B, T)` int64. `length` `(B,)` counts the productions, T where `complete` `(B,)` is False.
    `log_prob` `(B,)` is the log-probability in nats of the derivation under the distribution that it
    was decoded from: the softmax over what was allowed at each step. Gradients flow through it.

    `forced` `(B, T)` marks the steps at which the reserve rule changed the outcome: what would have
    been taken without it, by the same draw, was not allowed. So without the rule a row decodes to the
    same ids if none of its steps is forced, and to an incomplete derivation otherwise.
    """

    ids: torch.Tensor
    length: torch.Tensor
    complete: torch.Tensor
    log_prob: torch.Tensor
    forced: torch.Tensor


def decode(
    grammar: Grammar,
    logits: torch.Tensor,
    rng: torch.Generator | None = None,
    temperature: float = 1.0,
    reserve: bool = True,
) -> Decoded:
    """Derivations from logits of all steps at once: the most probable id at each step, or one drawn.

    A step chooses among what its `Walk` allows. NaN and minus infinity count as the lowest finite
    number, plus infinity as the highest. `reserve=False` decodes as GrammarVAE does (Kusner et al.,
    2017), where a derivation may be unfinished after T steps. For `torch.compile`, which takes no
    generators, call `grammar.tables(device)` once before.

    Args:
        grammar: The grammar.
        logits: `(B, T, P + 1)`, any floating dtype; the reserve rule completes derivations within T.
        rng: Draws the ids, on the device of the logits; without it the most probable are taken.
        temperature: Divides the logits.
        reserve: Apply the reserve rule.

    Raises:
        ValueError: T steps are too few for any sentence, or the temperature is not above 0.
    """
    scores = _scores(logits, temperature)
    noise = None if rng is None else _gumbel(scores, rng)
    walk = Walk(grammar, logits.shape[0], logits.device, logits.shape[1], reserve)
    fixed, taken, allowed = scores.detach(), [], []
    for step in range(logits.shape[1]):
        allowed.append(walk.allowed)
        taken.append(_choose(fixed[:, step], allowed[-1], None if noise is None else noise[:, step]))
        walk.advance(taken[-1])
    ids, permitted = torch.stack(taken, 1), torch.stack(allowed, 1)
    wanted = _choose(fixed, walk.tables.mask[walk.tables.lhs[ids]], noise) if reserve else ids  # without the rule
    return Decoded(
        ids=ids,
        length=(ids != grammar.pad).sum(1),
        complete=walk.complete,
        log_prob=log_prob(scores, ids, permitted),
        forced=~permitted.gather(2, wanted[..., None]).squeeze(2),
    )


def vote(
    grammar: Grammar,
    logits: torch.Tensor,
    k: int,
    rng: torch.Generator,
    temperature: float = 1.0,
    reserve: bool = True,
) -> Decoded:
    """The derivation that k draws give most often, of those that complete; of equals, the first drawn.

    GrammarVAE's protocol for Bayesian optimization, with k = 25 (Kusner et al., 2017). A row none of
    whose draws completes gives its first one. Needs k times the memory of the logits.

    Args:
        grammar: The grammar.
        logits: `(B, T, P + 1)`.
        k: Draws for each row.
        rng: Draws them, on the device of the logits.
        temperature: Divides the logits.
        reserve: Apply the reserve rule.
    """
    drawn = decode(grammar, logits.repeat_interleave(k, 0), rng, temperature, reserve)
    kinds = torch.unique(drawn.ids, dim=0, return_inverse=True)[1].view(-1, k)  # (B, k)
    votes = (kinds[:, :, None] == kinds[:, None, :]).sum(2) * drawn.complete.view(-1, k)
    winners = votes.argmax(1) + k * torch.arange(len(votes), device=logits.device)
    return Decoded(*(values[winners] for values in drawn))


def choose(
    logits: torch.Tensor, allowed: torch.Tensor, rng: torch.Generator | None = None, temperature: float = 1.0
) -> torch.Tensor:
    """`(...)` ids from `(..., P + 1)` logits and what is allowed, for decoders that go step by step.

    The most probable, or drawn if `rng` is given; always allowed, as in `decode`.
    """
    scores = _scores(logits, temperature)
    return _choose(scores, allowed, None if rng is None else _gumbel(scores, rng))


def log_prob(logits: torch.Tensor, ids: torch.Tensor, allowed: torch.Tensor) -> torch.Tensor:
    """`(B,)` log-probabilities in nats of `(B, T)` int64 ids under the softmax over what is allowed.

    Computed in float32 or better. Padding adds exactly 0: nothing else is allowed there.

    Args:
        logits: `(B, T, P + 1)`.
        ids: Allowed ones.
        allowed: `(B, T, P + 1)` bool.
    """
    dtype = torch.promote_types(logits.dtype, torch.float32)
    steps = torch.where(allowed, logits, -torch.inf).log_softmax(-1, dtype=dtype)
    return steps.gather(-1, ids[..., None]).squeeze(-1).sum(-1)


def _scores(logits: torch.Tensor, temperature: float) -> torch.Tensor:
    """Finite numbers in at least float32, so that what is forbidden can be told by minus infinity."""
    if not temperature > 0:
        raise ValueError(f"temperature {temperature}: it must be above 0")
    scores = logits.to(torch.promote_types(logits.dtype, torch.float32)) / temperature
    return scores.nan_to_num(nan=torch.finfo(scores.dtype).min)


def _gumbel(scores: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """Standard Gumbel noise in the shape of the scores, finite."""
    uniform = torch.rand(scores.shape, generator=rng, device=scores.device, dtype=scores.dtype)
    return -uniform.clamp_min_(torch.finfo(scores.dtype).tiny).log_().neg_().log_()


def _choose(scores: torch.Tensor, allowed: torch.Tensor, noise: torch.Tensor | None) -> torch.Tensor:
    """The best of what is allowed; with Gumbel noise that is a draw from the softmax over it."""
    scores = torch.where(allowed, scores, -torch.inf)
    if noise is not None:
        scores = scores - scores.amax(-1, keepdim=True) + noise  # large logits would swallow the noise
    return scores.argmax(-1)
