from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2, chisquare
from torch import nn

from dimecli.data.samples import Samples
from dimecli.data.sentences import Characters, Productions
from dimecli.data.spec import Spec
from dimecli.grammar import Grammar
from dimecli.lazy import np
from dimecli.model import Autoencoder, Autoregressive, UnitNorm
from dimecli.plugin import Network
from dimecli_plugins.networks.character import Character
from dimecli_plugins.networks.grammar_conv_gru import GrammarConvGru
from dimecli_plugins.networks.grammar_transformer import GrammarTransformer

NETWORKS: dict[str, Network] = {
    "conv-gru": GrammarConvGru(),
    "conv-gru-paper": GrammarConvGru(sizes="paper"),
    "transformer": GrammarTransformer(width=32, layers=1),
    "autoregressive": GrammarTransformer(width=32, layers=2, autoregressive=True),
    "character": Character(),
}
EXPRESSIONS = """
S -> S '+' T | S '*' T | S '/' T | T
T -> '(' S ')' | 'sin(' S ')' | 'exp(' S ')' | 'x' | '1' | '2' | '3'
"""
WORDS = "%max_len 4\nS -> A S | A\nA -> 'one' | 'two'"
ONE = "%max_len 1\nS -> 'a' | 'bc'"
GRAMMARS = {"expressions": f"%max_len 15\n{EXPRESSIONS}", "words": WORDS, "one": ONE}


def sentences(name: str, n: int) -> Samples:
    """n samples of a grammar."""
    grammar = Grammar.compile(GRAMMARS[name])
    ids = grammar.sample(n, np.random.default_rng(0), "length")
    spec = Spec(modality="sentence", shape=(grammar.max_len,), likelihood=Productions(grammar=grammar.text))
    return Samples(spec, torch.from_numpy(ids))


def model_of(network: Network, samples: Samples, latent_size: int = 4) -> tuple[Autoencoder, torch.Tensor]:
    prepared = network.prepare(samples)
    spec = prepared.spec
    encoder, decoder = network.encoder(spec, latent_size), network.decoder(spec, latent_size)
    assert isinstance(prepared.x, torch.Tensor)
    return Autoencoder(spec, nn.Sequential(encoder, UnitNorm()), decoder, latent_size), prepared.x


def weights(module: nn.Module) -> list[tuple[int, ...]]:
    return [tuple(parameter.shape) for parameter in module.parameters() if parameter.dim() > 1]


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("grammar", GRAMMARS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_grammar_trains(name: str, grammar: str, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    model, x = model_of(NETWORKS[name], sentences(grammar, 12))
    model.to(dtype)
    z = model.encode(x)
    assert z.dtype == dtype
    model.nll(x, z).sum().backward()
    for key, parameter in model.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.isfinite().all(), key
        assert parameter.grad.any() or grammar == "one", key  # of one step, what joins steps has none


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("grammar", GRAMMARS)
def test_one_row_is_decoded_as_among_others(name: str, grammar: str) -> None:
    torch.manual_seed(0)
    model, x = model_of(NETWORKS[name], sentences(grammar, 12))
    model.double().eval()
    z = model.encode(x)
    torch.testing.assert_close(model.encode(x[:1]), z[:1])
    torch.testing.assert_close(model.nll(x[:1], z[:1]), model.nll(x, z)[:1])
    generated = model.generate(z)
    assert generated.dtype == torch.int16
    assert generated.shape == x.shape
    assert torch.equal(model.generate(z[:1]), generated[:1])
    likelihood: Any = model.spec.likelihood
    assert likelihood.complete(generated).all()


@pytest.mark.parametrize("name", NETWORKS)
def test_a_few_steps_learn_most_of_it(name: str) -> None:
    torch.manual_seed(0)
    model, x = model_of(NETWORKS[name], sentences("expressions", 64), 8)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(40):
        optimizer.zero_grad()
        loss = model.nll(x, model.encode(x)).mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < (0.9 if "paper" in name or name == "character" else 0.6) * losses[0]


@pytest.mark.parametrize("name", ["conv-gru", "transformer", "autoregressive"])
def test_bfloat16_autocast_stays_near_float32(name: str) -> None:
    torch.manual_seed(0)
    model, x = model_of(NETWORKS[name], sentences("expressions", 32))
    exact = model.nll(x, model.encode(x))
    with torch.autocast("cpu", torch.bfloat16):
        rounded = model.nll(x, model.encode(x))
    rounded.sum().backward()
    torch.testing.assert_close(rounded, exact, rtol=0.1, atol=0.2)


@pytest.mark.parametrize(("symbols", "conv", "dense"), [(12, (2, 3, 4), 100), (77, (9, 9, 10), 435)])
def test_paper_sizes(symbols: int, conv: tuple[int, int, int], dense: int) -> None:
    steps, kernels, hidden = (15, (2, 3, 4), 100) if symbols == 12 else (277, (9, 9, 11), 501)
    rules = " | ".join(f"S '{number}'" for number in range(symbols - 2))
    spec = Spec(modality="sentence", shape=(steps,), likelihood=Productions(grammar=f"S -> {rules} | 'a'"))
    paper = GrammarConvGru(sizes="paper")
    assert weights(paper.encoder(spec, 56)) == [
        *((after, before, kernel) for before, after, kernel in zip((symbols, *conv), conv, kernels, strict=False)),
        (dense, conv[-1] * (steps + 3 - sum(kernels))),
        (56, dense),
    ]
    decoder = weights(paper.decoder(spec, 25))
    assert decoder[0] == (25, 25)
    assert decoder[1:-1] == [(3 * hidden, 25), (3 * hidden, hidden), *[(3 * hidden, hidden)] * 4]
    assert decoder[-1] == (symbols, hidden)


def greedy(
    decoder: Autoregressive,
    z: torch.Tensor,
    likelihood: Productions | Characters,
    steps: int,
    symbols: int,
    reserve: bool,
) -> torch.Tensor:
    """`(B, T)` ids, each step by a whole forward pass over what was chosen so far, row by row on lists."""
    grammar = likelihood.compiled
    rows = []
    for code in z:
        ids: list[int] = []
        stack = [grammar.start]
        for step in range(steps):
            x = torch.tensor([[*ids, *[0] * (steps - step)]])  # what comes later must not matter
            scores = decoder(code[None], x)[0, step].tolist()
            if isinstance(likelihood, Characters):
                allowed = list(range(symbols))
            elif not stack:
                allowed = [grammar.pad]
            else:
                top, rest = stack[-1], sum(int(grammar.min_len[symbol]) for symbol in stack[:-1])
                left = steps - step - 1
                allowed = [p for p in grammar.by_lhs[top] if not reserve or rest + grammar.owed[p] <= left]
            best = max(allowed, key=lambda p: scores[p])
            ids.append(best)
            if isinstance(likelihood, Productions) and best != grammar.pad:
                stack[-1:] = reversed(grammar.children[best])
        rows.append(ids)
    return torch.tensor(rows, dtype=torch.int16)


@pytest.mark.parametrize("kind", ["reserve", "no-reserve", "characters"])
def test_autoregressive_decoding_is_greedy(kind: str) -> None:
    torch.manual_seed(0)
    grammar = Grammar.compile(GRAMMARS["expressions"])
    likelihood: Productions | Characters = Productions(grammar=grammar.text)
    if kind == "characters":
        likelihood = Characters(grammar=grammar.text)
    spec = Spec(modality="sentence", shape=(9,), likelihood=likelihood)
    steps, symbols = likelihood.parameters(spec.shape)
    decoder = GrammarTransformer(width=16, layers=2, autoregressive=True).decoder(spec, 3).double()
    assert isinstance(decoder, Autoregressive)
    nn.init.normal_(decoder.output[1].weight, std=3)  # type: ignore[index, union-attr]  # decisive logits
    z = 4 * torch.randn(12, 3, dtype=torch.float64)
    reserve = kind != "no-reserve"
    expected = greedy(decoder, z, likelihood, steps, symbols, reserve)
    assert len(expected.unique(dim=0)) > 6
    assert torch.equal(decoder.generate(z, likelihood, None, reserve), expected)
    complete = likelihood.complete(expected)
    assert complete.all() == reserve


def test_autoregressive_draws_follow_its_probabilities() -> None:
    torch.manual_seed(0)
    grammar = Grammar.compile(WORDS)
    spec = Spec(modality="sentence", shape=(4,), likelihood=Productions(grammar=grammar.text))
    decoder = GrammarTransformer(width=16, layers=1, autoregressive=True).decoder(spec, 3).double()
    assert isinstance(decoder, Autoregressive)
    model = Autoencoder(spec, nn.Identity(), decoder, 3).eval()
    z, n = torch.randn(1, 3, dtype=torch.float64), 4000
    every = torch.from_numpy(np.concatenate([grammar.enumerate(length) for length in range(5)]))  # one and two words
    drawn = model.generate(z.expand(n, -1), torch.Generator().manual_seed(3))
    counts = (drawn[:, None] == every[None]).all(2).sum(0)
    assert counts.sum() == n
    logits = decoder(z.expand(len(every), -1), every)
    # after one word and S -> A S the reserve rule leaves S -> A alone
    probabilities = torch.tensor(
        [reserved(grammar, row.tolist(), step) for row, step in zip(every, logits, strict=True)]
    )
    assert probabilities.sum().item() == pytest.approx(1)
    assert chisquare(counts.numpy(), n * probabilities.numpy()).pvalue > 0.01


def reserved(grammar: Grammar, ids: list[int], logits: torch.Tensor) -> float:
    """Probability of a derivation of WORDS, at most two words long, under the reserve rule."""
    probability = 1.0
    for step, chosen in enumerate(ids):
        if chosen == grammar.pad or (step == 2 and grammar.lhs[chosen] == 0):
            continue
        allowed = list(grammar.by_lhs[int(grammar.lhs[chosen])])
        probability *= logits[step, allowed].softmax(0)[allowed.index(chosen)].item()
    return probability


def test_autoregressive_draws_come_from_the_generator() -> None:
    torch.manual_seed(0)
    model, x = model_of(NETWORKS["autoregressive"], sentences("expressions", 12))
    z = model.encode(x).detach()
    before = torch.random.get_rng_state()
    first = model.generate(z, torch.Generator().manual_seed(1))
    assert torch.equal(first, model.generate(z, torch.Generator().manual_seed(1)))
    assert not torch.equal(first, model.generate(z, torch.Generator().manual_seed(2)))
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize("autoregressive", [True, False])
def test_samples_of_the_model_are_of_the_law_that_nll_is_of(autoregressive: bool) -> None:
    torch.manual_seed(0)
    grammar = Grammar.compile(WORDS)
    spec = Spec(modality="sentence", shape=(4,), likelihood=Productions(grammar=grammar.text))
    decoder = GrammarTransformer(width=16, layers=1, autoregressive=autoregressive).decoder(spec, 3).double()
    model = Autoencoder(spec, nn.Identity(), decoder, 3).eval()
    z, n = torch.randn(1, 3, dtype=torch.float64), 4000
    drawn = model.sample(z.expand(n, -1), torch.Generator().manual_seed(3))
    rows, counts = drawn.unique(dim=0, return_counts=True)
    assert not spec.likelihood.complete(rows).all()  # type: ignore[union-attr]  # some break off
    expected = n * torch.exp(-model.nll(rows, z.expand(len(rows), -1)))
    common = expected > 5
    chi_square = ((counts - expected).square() / expected)[common].sum().item()
    assert chi2.sf(chi_square, int(common.sum())) > 0.001
    assert expected.sum().item() == pytest.approx(n, rel=0.05)  # nearly every row was drawn


@settings(derandomize=True, deadline=None, max_examples=20)
@given(st.integers(0, 10**6))
def test_wild_codes_complete(seed: int) -> None:
    rng = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    samples = sentences("expressions", 1)
    for name in ("transformer", "autoregressive"):
        model, _ = model_of(NETWORKS[name], samples)
        generated = model.eval().generate(40 * torch.randn(16, 4, generator=rng), rng)
        likelihood: Any = samples.spec.likelihood
        assert likelihood.complete(generated).all()


def test_characters_spell_the_sentences() -> None:
    samples = sentences("expressions", 50)
    prepared = Character().prepare(samples)
    assert isinstance(samples.x, torch.Tensor)
    assert isinstance(prepared.x, torch.Tensor)
    likelihood: Any = prepared.spec.likelihood
    grammar = likelihood.compiled
    assert prepared.spec.shape == tuple(prepared.x.shape[1:])
    assert prepared.spec.shape != samples.spec.shape
    assert prepared.x.dtype == torch.int16
    assert likelihood.text(prepared.x) == grammar.unparse_all(samples.x.numpy())
    assert grammar.text == samples.spec.likelihood.grammar  # type: ignore[union-attr]
    assert Character().prepare(prepared) is prepared


def test_characters_keep_labels_and_classes() -> None:
    samples = sentences("words", 4)
    spec = samples.spec.model_copy(update={"classes": ("a", "b")})
    prepared = Character().prepare(Samples(spec, samples.x, torch.tensor([0, 1, 1, 0])))
    assert prepared.spec.classes == ("a", "b")
    assert prepared.y is not None
    assert prepared.y.tolist() == [0, 1, 1, 0]


@pytest.mark.parametrize("name", ["conv-gru", "transformer", "autoregressive"])
def test_productions_stay_productions(name: str) -> None:
    samples = sentences("words", 4)
    assert NETWORKS[name].prepare(samples) is samples
