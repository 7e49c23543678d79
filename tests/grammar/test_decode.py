"""Decoding against a plain decoder that finds by search what can still complete."""

from __future__ import annotations

import math
import re
from collections import Counter
from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from reference import every
from scipy import stats
from strategies import grammars

from dimecli.grammar import Grammar
from dimecli.grammar.decode import Decoded, choose, decode, majority, vote
from dimecli.grammar.rules import Nonterminal
from dimecli.grammar.walk import Walk

EXPRESSIONS = Grammar.compile(
    """
    %start S
    %max_len 15
    S -> S '+' T | S '*' T | S '/' T | T
    T -> '(' S ')' | 'sin(' S ')' | 'exp(' S ')' | 'x' | '1' | '2' | '3'
    """
)
LISTS = Grammar.compile("%start L\n%max_len 4\nL -> 'a' | 'b' L | L L")
DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def random_logits(grammar: Grammar, rows: int, scale: float = 1.0, seed: int = 0) -> torch.Tensor:
    shape = (rows, grammar.max_len, grammar.pad + 1)
    return scale * torch.randn(shape, generator=rng(seed), dtype=torch.float64)


class Plain:
    """One derivation at a time, on lists of names."""

    def __init__(self, grammar: Grammar) -> None:
        self.grammar = grammar

        @cache
        def completes(stack: tuple[str, ...], left: int) -> bool:
            """Search: the nonterminals can be rewritten in `left` productions."""
            if not stack:
                return True
            return left >= len(stack) and any(completes(self.after(stack, p), left - 1) for p in self.masked(stack))

        self.completes = completes

    def masked(self, stack: tuple[str, ...]) -> list[int]:
        rules = self.grammar.productions
        return [p for p in range(len(rules)) if rules[p].lhs.name == stack[0]] if stack else [len(rules)]

    def after(self, stack: tuple[str, ...], p: int) -> tuple[str, ...]:
        if p == self.grammar.pad:
            return stack
        below = tuple(symbol.name for symbol in self.grammar.productions[p].rhs if isinstance(symbol, Nonterminal))
        return below + stack[1:]

    def allowed(self, stack: tuple[str, ...], left: int) -> list[int]:
        return [p for p in self.masked(stack) if self.completes(self.after(stack, p), left - 1)]

    def decode(self, logits: list[list[float]], reserve: bool) -> tuple[list[int], bool, float, list[bool]]:
        stack: tuple[str, ...] = (self.grammar.nonterminals[0],)
        ids, log_prob, forced = [], 0.0, []
        for step, row in enumerate(logits):
            masked = self.masked(stack)
            allowed = self.allowed(stack, len(logits) - step) if reserve else masked
            best = max(allowed, key=row.__getitem__)
            log_prob -= math.log(sum(math.exp(row[p] - row[best]) for p in allowed))
            forced.append(max(masked, key=row.__getitem__) not in allowed)
            ids.append(best)
            stack = self.after(stack, best)
        return ids, not stack, log_prob, forced


def check_derivations(grammar: Grammar, decoded: Decoded) -> None:
    """Every row rewrites leftmost nonterminals until none is left, and is padding from there on."""
    plain = Plain(grammar)
    assert decoded.complete.all()
    for ids, length in zip(decoded.ids.tolist(), decoded.length.tolist(), strict=True):
        stack: tuple[str, ...] = (grammar.nonterminals[0],)
        for step, p in enumerate(ids):
            assert p in plain.masked(stack)
            assert (p == grammar.pad) == (step >= length)
            stack = plain.after(stack, p)
        assert not stack


@settings(derandomize=True, deadline=None, max_examples=60)
@given(grammars(), st.sampled_from(DTYPES), st.sampled_from([0.0, 1.0, 40.0, 1e4, 1e30]), st.booleans())
def test_any_logits_complete(grammar: Grammar, dtype: torch.dtype, scale: float, drawn: bool) -> None:
    logits = random_logits(grammar, 20, scale).to(dtype)
    decoded = grammar.decode(logits, rng() if drawn else None, temperature=0.7 if drawn else 1.0)
    check_derivations(grammar, decoded)
    assert decoded.log_prob.isfinite().all()
    assert (decoded.log_prob <= 0).all()
    assert decoded.log_prob.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)


@settings(derandomize=True, deadline=None, max_examples=30)
@given(grammars(), st.sampled_from(DTYPES), st.integers(0, 2**32), st.booleans())
def test_logits_that_are_no_numbers_complete_too(grammar: Grammar, dtype: torch.dtype, seed: int, drawn: bool) -> None:
    kinds = torch.tensor([math.nan, math.inf, -math.inf, 0.0, 1.0, torch.finfo(dtype).max, torch.finfo(dtype).min])
    shape = (20, grammar.max_len, grammar.pad + 1)
    decoded = grammar.decode(kinds[torch.randint(7, shape, generator=rng(seed))].to(dtype), rng() if drawn else None)
    check_derivations(grammar, decoded)
    assert decoded.log_prob.isfinite().all()


def test_what_numbers_they_count_as() -> None:
    logits = torch.zeros(3, 4, LISTS.pad + 1)
    logits[0, 0] = torch.tensor([math.nan, -1e30, -2e30, 0])
    logits[1, 0] = torch.tensor([1e30, math.inf, math.nan, 0])
    logits[2, 0] = torch.tensor([math.nan, -math.inf, -math.inf, 0])
    decoded = decode(LISTS, logits)
    assert decoded.ids[:, 0].tolist() == [1, 1, 0]  # one as good as the other in the last row: the first
    assert decode(LISTS, logits[2:, :1]).log_prob.item() == 0.0  # nothing else fits into one step


@settings(derandomize=True, deadline=None, max_examples=50)
@given(grammars(), st.integers(0, 2**32), st.booleans(), st.integers(0, 3))
def test_argmax_agrees_with_the_plain_decoder(grammar: Grammar, seed: int, reserve: bool, fewer: int) -> None:
    steps = max(grammar.max_len - fewer, int(grammar.min_len[0]))
    logits = random_logits(grammar, 8, seed=seed)[:, :steps]
    decoded = decode(grammar, logits, reserve=reserve)
    plain = Plain(grammar)
    for row, values in enumerate(logits.tolist()):
        ids, complete, log_prob, forced = plain.decode(values, reserve)
        assert decoded.ids[row].tolist() == ids
        assert decoded.complete[row] == complete
        assert decoded.length[row] == sum(p != grammar.pad for p in ids)
        assert decoded.log_prob[row].item() == pytest.approx(log_prob, rel=1e-12, abs=1e-12)
        assert decoded.forced[row].tolist() == forced


@settings(derandomize=True, deadline=None, max_examples=50)
@given(grammars(), st.integers(0, 2**32))
def test_a_walk_allows_exactly_what_can_complete(grammar: Grammar, seed: int) -> None:
    walk, plain, picks = Walk(grammar, 10, torch.device("cpu")), Plain(grammar), np.random.default_rng(seed)
    stacks: list[tuple[str, ...]] = [(grammar.nonterminals[0],)] * 10
    for step in range(grammar.max_len):
        allowed = [plain.allowed(stack, grammar.max_len - step) for stack in stacks]
        assert [row.nonzero().flatten().tolist() for row in walk.allowed] == allowed
        assert walk.complete.tolist() == [not stack for stack in stacks]
        ids = [int(picks.choice(row)) for row in allowed]
        walk.advance(torch.tensor(ids))
        stacks = [plain.after(stack, p) for stack, p in zip(stacks, ids, strict=True)]
    assert walk.complete.all()


@settings(derandomize=True, deadline=None, max_examples=30)
@given(grammars(), st.integers(0, 2**32), st.booleans())
def test_forced_marks_what_the_reserve_rule_changed(grammar: Grammar, seed: int, drawn: bool) -> None:
    logits = random_logits(grammar, 50, seed=seed)
    ours = decode(grammar, logits, rng(seed) if drawn else None)
    free = decode(grammar, logits, rng(seed) if drawn else None, reserve=False)
    assert torch.equal(free.complete, ~ours.forced.any(1))
    assert not free.forced.any()
    first = ours.forced.long().cumsum(1) > 0  # from the first forced step on
    assert torch.equal(ours.ids.masked_fill(first, -1), free.ids.masked_fill(first, -1))


@pytest.mark.parametrize("reserve", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_draws_follow_their_probabilities(dtype: torch.dtype, reserve: bool) -> None:
    """Chi-square over all derivations of a list within 4 productions, and `log_prob` is their logarithm."""
    logits, plain, n = random_logits(LISTS, 1, 0.5, seed=3)[0], Plain(LISTS), 20_000
    exact: dict[tuple[int, ...], float] = {}

    def follow(stack: tuple[str, ...], ids: tuple[int, ...], probability: float) -> None:
        if len(ids) == 4:
            exact[ids] = probability
            return
        options = plain.allowed(stack, 4 - len(ids)) if reserve else plain.masked(stack)
        odds = [math.exp(logits[len(ids), p].item() / 0.7) for p in options]
        for p, odd in zip(options, odds, strict=True):
            follow(plain.after(stack, p), (*ids, p), probability * odd / sum(odds))

    follow(("L",), (), 1.0)
    drawn = decode(LISTS, logits.to(dtype).expand(n, -1, -1), rng(), temperature=0.7, reserve=reserve)
    rows = list(map(tuple, drawn.ids.tolist()))
    observed = Counter(rows)
    assert observed.keys() <= exact.keys()
    test = stats.chisquare([observed[ids] for ids in exact], [n * probability for probability in exact.values()])
    assert test.pvalue > 1e-3
    expected = torch.tensor([math.log(exact[ids]) for ids in rows], dtype=dtype)
    torch.testing.assert_close(drawn.log_prob, expected, rtol=1e-5, atol=1e-5)


def test_draws_among_equally_large_logits() -> None:
    logits = torch.full((4000, 4, LISTS.pad + 1), 1e30)
    first = decode(LISTS, logits, rng()).ids[:, 0]
    assert stats.chisquare(np.bincount(first)).pvalue > 1e-3


def test_the_same_seed_draws_the_same() -> None:
    logits = random_logits(EXPRESSIONS, 30)
    first, second, other = (decode(EXPRESSIONS, logits, rng(seed)).ids for seed in (0, 0, 1))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def test_without_reserve_as_grammar_vae_decodes() -> None:
    """Its procedure: pop a symbol, mask, take, push the right-hand side; after 15 steps join what is there."""
    logits = random_logits(EXPRESSIONS, 1000)
    decoded = decode(EXPRESSIONS, logits, reserve=False)
    sentences: list[str | None] = []
    for row in logits.tolist():
        stack, text = [Nonterminal("S")], "S"
        for step in row:
            if stack:
                lhs = stack.pop()
                known = [(step[p], p) for p, rule in enumerate(EXPRESSIONS.productions) if rule.lhs == lhs]
                rhs = EXPRESSIONS.productions[max(known)[1]].rhs
                stack += [symbol for symbol in reversed(rhs) if isinstance(symbol, Nonterminal)]
                text = re.sub("[ST]", "".join(map(str, rhs)), text, count=1)
        sentences.append(None if stack else text)
    assert EXPRESSIONS.unparse_all(decoded.ids.numpy()) == sentences
    assert decoded.complete.tolist() == [text is not None for text in sentences]
    assert 0.28 < decoded.complete.double().mean() < 0.42  # as others measured for random logits


def test_every_derivation_has_its_probability() -> None:
    """The probabilities of all derivations within the steps sum to 1, through the gradient's own path."""
    logits = random_logits(LISTS, 1).expand(3000, -1, -1).clone().requires_grad_()
    decoded = decode(LISTS, logits, rng())
    by_ids = dict(zip(map(tuple, decoded.ids.tolist()), decoded.log_prob.exp().tolist(), strict=True))
    assert len(by_ids) == len(every(LISTS))  # all of them were drawn
    assert sum(by_ids.values()) == pytest.approx(1, abs=1e-12)
    gradient = torch.autograd.grad(decoded.log_prob.sum(), logits)[0]
    assert gradient.isfinite().all()
    # the score function has mean 0 under the distribution itself
    scores = {ids: gradient[decoded.ids.tolist().index(list(ids))] for ids in by_ids}
    mean = torch.stack([probability * scores[ids] for ids, probability in by_ids.items()]).sum(0)
    torch.testing.assert_close(mean, torch.zeros_like(mean), rtol=0, atol=1e-12)


@settings(derandomize=True, deadline=None, max_examples=20)
@given(grammars(), st.integers(0, 2**32), st.booleans())
def test_vote_takes_the_most_frequent_complete_draw(grammar: Grammar, seed: int, reserve: bool) -> None:
    logits, k = random_logits(grammar, 12, 2.0, seed), 7
    won = vote(grammar, logits, k, rng(seed), temperature=1.5, reserve=reserve)
    source = rng(seed)
    drawn = [decode(grammar, logits, source, temperature=1.5, reserve=reserve) for _ in range(k)]
    for row in range(12):
        draws = [tuple(one.ids[row].tolist()) for one in drawn]
        counted = Counter(ids for ids, one in zip(draws, drawn, strict=True) if one.complete[row]).most_common(1)
        winner = counted[0][0] if counted else draws[0]  # of equals, `most_common` gives the first seen
        for ours, theirs in zip(won, drawn[draws.index(winner)], strict=True):
            assert torch.equal(ours[row], theirs[row])


def test_vote_passes_over_a_majority_of_incomplete_draws() -> None:
    logits = torch.full((20, 4, LISTS.pad + 1), -30.0)
    logits[:, :, 1], logits[:, 0, 0] = 0.0, -0.7  # `b b b b`, or `a` in one of three draws
    won = vote(LISTS, logits, 25, rng(), reserve=False)
    assert won.ids.tolist() == [[0, 3, 3, 3]] * 20
    assert won.complete.all()
    never = logits.clone()
    never[:, 0, 0] = -30.0
    won = vote(LISTS, never, 25, rng(), reserve=False)
    assert won.ids.tolist() == [[1] * 4] * 20
    assert not won.complete.any()


@pytest.mark.parametrize("dtype", [torch.int16, torch.int64])
def test_the_majority_of_a_row_is_its_own(dtype: torch.dtype) -> None:
    ids = torch.tensor([[[1, 2], [3, 3]], [[3, 3], [1, 2]], [[3, 3], [1, 2]], [[3, 3], [3, 3]]], dtype=dtype)
    assert majority(ids, torch.ones(4, 2, dtype=torch.bool)).tolist() == [1, 0]  # of equals the first, in each row
    assert majority(ids, ids[..., 0] == 1).tolist() == [0, 1]
    assert majority(ids, torch.zeros(4, 2, dtype=torch.bool)).tolist() == [0, 0]
    assert majority(ids[:, :0], torch.ones(4, 0, dtype=torch.bool)).tolist() == []


FAR = Grammar.compile("S -> 'a' | A0 S\n" + "\n".join(f"A{i} -> A{i + 1} A{i + 1}" for i in range(40)) + "\nA40 -> 'x'")


def test_productions_that_need_more_than_any_length_are_never_allowed_by_the_reserve_rule_alone() -> None:
    """The shortest derivation of A0 has 2^41 - 1 productions, which no 32-bit number holds."""
    logits = torch.zeros(1, FAR.max_len, FAR.pad + 1)
    logits[..., 1] = 9.0
    decoded = decode(FAR, logits)
    assert decoded.ids[0].tolist() == [0] + [FAR.pad] * (FAR.max_len - 1)
    assert decoded.forced[0].tolist() == [True] + [False] * (FAR.max_len - 1)
    for reserve, expected in ((True, [0]), (False, [0, 1])):
        walk = Walk(FAR, 1, torch.device("cpu"), reserve=reserve)
        assert walk.allowed[0].nonzero().flatten().tolist() == expected


def test_what_grows_without_reserve_fits_on_the_stack() -> None:
    grammar = Grammar.compile("%max_len 30\nS -> S S S S 'a' | 'x'")
    logits = torch.zeros(2, 30, 3)
    logits[..., 0] = 9.0
    logits[1, 7:, 0] = -9.0
    decoded = decode(grammar, logits, reserve=False)
    assert decoded.ids[0].tolist() == [0] * 30
    assert decoded.complete.tolist() == [False, True]
    assert decoded.length.tolist() == [30, 7 + 22]


@pytest.mark.parametrize("reserve", [True, False])
def test_steps_after_the_end_of_all_rows_change_nothing(reserve: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are left out; among rows that go on to the last step they are not."""
    logits = random_logits(EXPRESSIONS, 41, seed=5)
    logits[:40, 0, 3] = logits[:40, 1, 7] = 50.0  # S -> T, T -> 'x'
    logits[40, :, :3] = 50.0 * torch.eye(3).repeat(5, 1)  # S -> S + T and so on, to the end
    together = decode(EXPRESSIONS, logits, reserve=reserve)
    advance, taken = Walk.advance, list[torch.Tensor]()

    def counted(walk: Walk, ids: torch.Tensor) -> None:
        taken.append(ids)
        advance(walk, ids)

    monkeypatch.setattr(Walk, "advance", counted)
    alone = decode(EXPRESSIONS, logits[:40], reserve=reserve)
    assert len(taken) == 2
    assert alone.length.tolist() == [2] * 40
    assert together.length[40] > 13
    for ours, theirs in zip(alone, together, strict=True):
        assert torch.equal(ours, theirs[:40])
        assert ours.dtype == theirs.dtype


@pytest.mark.parametrize("drawn", [False, True])
def test_step_by_step_decodes_the_same(drawn: bool) -> None:
    logits, walk, ids = random_logits(EXPRESSIONS, 50), Walk(EXPRESSIONS, 50, torch.device("cpu")), []
    for step in range(15):
        ids.append(choose(logits[:, step], walk.allowed, rng(step) if drawn else None, temperature=0.5))
        walk.advance(ids[-1])
    assert walk.complete.all()
    if not drawn:
        assert torch.equal(torch.stack(ids, 1), decode(EXPRESSIONS, logits).ids)
    else:
        assert len(set(map(tuple, torch.stack(ids, 1).tolist()))) > 25


def test_a_number_of_steps_within_which_nothing_completes() -> None:
    logits = torch.zeros(2, 1, EXPRESSIONS.pad + 1)
    with pytest.raises(ValueError, match="1 steps: the shortest sentence has 2 productions"):
        decode(EXPRESSIONS, logits)
    assert not decode(EXPRESSIONS, logits, reserve=False).complete.any()


@pytest.mark.parametrize("temperature", [0.0, -1.0, math.nan])
def test_a_temperature_that_is_none(temperature: float) -> None:
    with pytest.raises(ValueError, match="above 0"):
        decode(EXPRESSIONS, random_logits(EXPRESSIONS, 1), rng(), temperature)


@settings(derandomize=True, deadline=None, max_examples=20)
@given(grammars(max_len=6), st.integers(0, 2**32))
def test_every_derivation_is_reached_by_its_own_logits(grammar: Grammar, seed: int) -> None:
    derivations = every(grammar)
    assume(len(derivations) < 3000)
    padded = [[*ids, *[grammar.pad] * (grammar.max_len - len(ids))] for ids in derivations]
    aimed = 1e3 * torch.nn.functional.one_hot(torch.tensor(padded), grammar.pad + 1)
    decoded = decode(grammar, aimed + torch.rand(aimed.shape, generator=rng(seed)))
    assert decoded.ids.tolist() == padded
    assert not decoded.forced.any()
    assert torch.equal(decoded.log_prob, torch.zeros(len(padded)))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.torch.jit.:DeprecationWarning")
@pytest.mark.parametrize("reserve", [True, False])
def test_compiled_as_one_graph(reserve: bool) -> None:
    logits = random_logits(EXPRESSIONS, 64).float()
    plain = decode(EXPRESSIONS, logits, reserve=reserve)
    compiled = torch.compile(decode, fullgraph=True)(EXPRESSIONS, logits, reserve=reserve)
    for name in Decoded._fields:
        torch.testing.assert_close(getattr(compiled, name), getattr(plain, name))


@pytest.mark.gpu
def test_on_a_gpu_without_waiting_for_it() -> None:
    logits = random_logits(EXPRESSIONS, 500).cuda()
    EXPRESSIONS.tables(logits.device)
    torch.cuda.set_sync_debug_mode("error")
    try:
        decoded = decode(EXPRESSIONS, logits)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    for ours, theirs in zip(decoded, decode(EXPRESSIONS, logits.cpu()), strict=True):
        torch.testing.assert_close(ours.cpu(), theirs)
