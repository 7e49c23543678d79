"""Decoding: from the logits of every step to derivations."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F

from dimecli.grammar.grammar import Grammar
from dimecli.grammar.walk import Walk


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
        if logits.device.type == "cpu" and not torch.compiler.is_compiling() and walk.complete.all():
            break  # nothing but padding follows; elsewhere to ask would take longer than to go on
    ids, permitted, n = torch.stack(taken, 1), torch.stack(allowed, 1), len(taken)
    wanted = ids  # without the rule
    if reserve:
        wanted = _choose(fixed[:, :n], walk.tables.mask[walk.tables.lhs[ids]], None if noise is None else noise[:, :n])
    forced = ~permitted.gather(2, wanted[..., None]).squeeze(2)
    rest = (0, logits.shape[1] - n)
    return Decoded(
        ids=F.pad(ids, rest, value=grammar.pad),
        length=(ids != grammar.pad).sum(1),
        complete=walk.complete,
        log_prob=log_prob(scores[:, :n], ids, permitted),
        forced=F.pad(forced, rest),
    )


def vote(
    grammar: Grammar,
    logits: torch.Tensor,
    k: int,
    rng: torch.Generator,
    temperature: float = 1.0,
    reserve: bool = True,
) -> Decoded:
    """The `majority` of k draws: GrammarVAE's protocol for Bayesian optimization, with k = 25 (Kusner et al., 2017).

    Args:
        grammar: The grammar.
        logits: `(B, T, P + 1)`.
        k: Draws for each row.
        rng: Draws them, on the device of the logits.
        temperature: Divides the logits.
        reserve: Apply the reserve rule.

    Raises:
        ValueError: as `decode`.
    """
    draws = [decode(grammar, logits, rng, temperature, reserve) for _ in range(k)]
    drawn = Decoded(*map(torch.stack, zip(*draws, strict=True)))  # of each (k, B, ...)
    winners = majority(drawn.ids, drawn.complete)
    return Decoded(*(values[winners, torch.arange(len(logits), device=logits.device)] for values in drawn))


def majority(ids: torch.Tensor, complete: torch.Tensor) -> torch.Tensor:
    """`(B,)` int64: which of k draws gives each row what most of its complete draws give; of equals, the first.

    It is draw 0 where none is complete.

    Args:
        ids: `(k, B, T)` integers.
        complete: `(k, B)` bool.
    """
    k, batch, _ = ids.shape
    rows = torch.arange(batch, device=ids.device).expand(k, batch)[..., None]  # what is equal in other rows has no vote
    own = torch.cat([rows, ids], 2).flatten(0, 1)  # (k B, 1 + T)
    _, kinds, counts = torch.unique(own, dim=0, return_inverse=True, return_counts=True)
    votes: torch.Tensor = counts[kinds].view(k, batch) * complete
    return votes.argmax(0)


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
