"""The likelihoods of sentences against brute force, torch.distributions and exact enumeration."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torch import distributions

from dimecli.data.sentences import Characters, Productions, Sentences, text_lines
from dimecli.data.spec import Spec
from dimecli.errors import UserError
from dimecli.grammar import Grammar

EXPRESSIONS = Grammar.compile(
    """
    %start S
    %max_len 15
    S -> S '+' T | S '*' T | S '/' T | T
    T -> '(' S ')' | 'sin(' S ')' | 'exp(' S ')' | 'x' | '1' | '2' | '3'
    """
)
FINITE = Grammar.compile("%start S\n%max_len 6\nS -> A B | A | 'd' B B\nA -> 'a' | 'b' | B\nB -> 'c' |")
WORDS = Grammar.compile("%start S\n%max_len 5\n%separator ' '\nS -> 'go' S | 'no' S | 'on'")
PRODUCTIONS, CHARACTERS = Productions(grammar=EXPRESSIONS.text), Characters(grammar=EXPRESSIONS.text)
DTYPES = [torch.bfloat16, torch.float16, torch.float32, torch.float64]


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def logits_for(likelihood: Sentences, rows: int, steps: int = 15, seed: int = 0) -> torch.Tensor:
    shape = (rows, *likelihood.parameters((steps,)))
    return 2 * torch.randn(shape, generator=rng(seed), dtype=torch.float64)


def derivations(grammar: Grammar) -> list[list[int]]:
    """All derivations within `max_len`, padded; by search."""
    found: list[list[int]] = []
    open_ones: list[tuple[list[int], tuple[int, ...]]] = [([], (grammar.start,))]
    while open_ones:
        ids, stack = open_ones.pop()
        if not stack:
            found.append([*ids, *[grammar.pad] * (grammar.max_len - len(ids))])
        elif len(ids) < grammar.max_len:
            followers = [p for p in range(grammar.pad) if grammar.lhs[p] == stack[0]]
            open_ones += [([*ids, p], grammar.children[p] + stack[1:]) for p in followers]
    return found


def plain_nll(grammar: Grammar, logits: list[list[float]], ids: list[int]) -> float:
    nll = 0.0
    for row, p in zip(logits, ids, strict=True):
        if p != grammar.pad:
            rivals = [row[q] for q in range(grammar.pad) if grammar.lhs[q] == grammar.lhs[p]]
            nll += math.log(sum(math.exp(value - row[p]) for value in rivals))
    return nll


# Productions


@settings(derandomize=True, deadline=None, max_examples=20)
@given(st.integers(0, 2**32))
def test_nll_against_brute_force(seed: int) -> None:
    logits = logits_for(PRODUCTIONS, 20, seed=seed)
    x = PRODUCTIONS.sample(logits_for(PRODUCTIONS, 20, seed=seed + 1), rng(seed))
    assert x.dtype == torch.int16
    exact = [plain_nll(EXPRESSIONS, row, ids) for row, ids in zip(logits.tolist(), x.tolist(), strict=True)]
    torch.testing.assert_close(PRODUCTIONS.nll(logits, x), torch.tensor(exact, dtype=torch.float64))


def test_probabilities_of_all_derivations_sum_to_one() -> None:
    likelihood, x = Productions(grammar=FINITE.text), torch.tensor(derivations(FINITE), dtype=torch.int16)
    logits = logits_for(likelihood, 1, 6)
    probabilities = (-likelihood.nll(logits.expand(len(x), -1, -1), x)).exp()
    assert len(x) == 4 * 2 + 4 + 4  # A B, A, 'd' B B
    assert probabilities.sum().item() == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("dtype", DTYPES)
def test_nll_in_every_precision(dtype: torch.dtype) -> None:
    logits, x = logits_for(PRODUCTIONS, 50).to(dtype), PRODUCTIONS.estimate(logits_for(PRODUCTIONS, 50, seed=1))
    exact = PRODUCTIONS.nll(logits.double(), x)
    found = PRODUCTIONS.nll(logits, x)
    assert found.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    torch.testing.assert_close(found.double(), exact, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("scale", [1.0, 1e4, 1e30])
def test_gradient_is_finite_and_spares_padding_and_other_left_hand_sides(dtype: torch.dtype, scale: float) -> None:
    x = PRODUCTIONS.estimate(logits_for(PRODUCTIONS, 40))
    logits = (scale * logits_for(PRODUCTIONS, 40, seed=1)).to(dtype).requires_grad_()
    nll = PRODUCTIONS.nll(logits, x)
    nll.sum().backward()
    assert nll.isfinite().all()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()
    same = torch.zeros(12, 12, dtype=torch.bool)
    same[:4, :4] = same[4:11, 4:11] = True  # S, T
    assert (logits.grad[~same[x.long()]] == 0).all()
    assert (logits.grad != 0).any()


def test_padding_counts_nothing() -> None:
    x = PRODUCTIONS.estimate(logits_for(PRODUCTIONS, 40))
    logits, padded = logits_for(PRODUCTIONS, 40, seed=1), x == EXPRESSIONS.pad
    assert padded.any()
    other = torch.where(padded[..., None], 100 * logits + 7, logits)
    assert torch.equal(PRODUCTIONS.nll(logits, x), PRODUCTIONS.nll(other, x))
    nothing = torch.full_like(x, EXPRESSIONS.pad)
    assert torch.equal(PRODUCTIONS.nll(logits, nothing), torch.zeros(40, dtype=torch.float64))


def test_what_is_decoded_honours_the_reserve_rule() -> None:
    logits = logits_for(PRODUCTIONS, 300)
    for decoded in (PRODUCTIONS.estimate(logits), PRODUCTIONS.decode(logits, rng())):
        assert PRODUCTIONS.complete(decoded).all()
        assert None not in PRODUCTIONS.text(decoded)
    assert torch.equal(PRODUCTIONS.sample(logits, rng()), PRODUCTIONS.decode(logits, rng(), reserve=False))
    for decoded in (PRODUCTIONS.decode(logits, reserve=False), PRODUCTIONS.sample(logits, rng())):
        assert decoded.dtype == torch.int16
        complete = PRODUCTIONS.complete(decoded).tolist()
        assert set(complete) == {True, False}
        assert [sentence is not None for sentence in PRODUCTIONS.text(decoded)] == complete
    assert torch.equal(PRODUCTIONS.estimate(logits), EXPRESSIONS.decode(logits).ids.short())


def test_a_derivation_of_known_text() -> None:
    ids = [[0, 3, 7, 5, 3, 8, *[11] * 9], [0, 3, 7, 5, 3, *[11] * 10]]
    assert PRODUCTIONS.text(torch.tensor(ids, dtype=torch.int16)) == ["x+sin(1)", None]
    assert PRODUCTIONS.complete(torch.tensor(ids, dtype=torch.int16)).tolist() == [True, False]


def test_its_parameters() -> None:
    assert PRODUCTIONS.parameters((15,)) == (15, 12)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.torch.jit.:DeprecationWarning")
@pytest.mark.parametrize("likelihood", [PRODUCTIONS, CHARACTERS])
def test_a_compiled_step_agrees(likelihood: Sentences) -> None:
    logits = logits_for(likelihood, 30).float().requires_grad_()
    x = likelihood.estimate(logits_for(likelihood, 30, seed=1))
    compiled = torch.compile(lambda logits, x: likelihood.nll(logits, x).mean(), fullgraph=True)(logits, x)
    plain = likelihood.nll(logits, x).mean()
    torch.testing.assert_close(compiled, plain)
    torch.testing.assert_close(torch.autograd.grad(compiled, logits), torch.autograd.grad(plain, logits))


# Characters


def test_the_alphabet_is_sorted_and_has_the_separator() -> None:
    assert CHARACTERS.alphabet == "()*+/123einpsx"
    assert Characters(grammar=WORDS.text).alphabet == " gno"
    assert CHARACTERS.parameters((19,)) == (19, 15)


@pytest.mark.parametrize("dtype", DTYPES)
def test_nll_of_characters_counts_the_padding(dtype: torch.dtype) -> None:
    logits = logits_for(CHARACTERS, 30, 19).to(dtype)
    x = CHARACTERS.encode(["x", "x+1", "sin(x*x)"] * 10)[:, :19]
    exact = -distributions.Categorical(logits=logits.double()).log_prob(x.long()).sum(1)
    found = CHARACTERS.nll(logits, x)
    assert found.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    torch.testing.assert_close(found.double(), exact, rtol=1e-5, atol=1e-5)


def test_encode_and_text_are_inverse() -> None:
    likelihood = Characters(grammar=WORDS.text)
    sentences = ["on", "go on", "no go no go on"]
    x = likelihood.encode(sentences)
    assert x.dtype == torch.int16
    assert x.shape == (3, len("go go go go on"))
    assert x[0].tolist() == [3, 2, *[4] * 12]
    assert likelihood.text(x) == sentences
    assert likelihood.encode([]).shape == (0, 14)
    assert likelihood.text(likelihood.encode([])) == []


def test_what_the_grammar_derives_fits() -> None:
    x = PRODUCTIONS.estimate(logits_for(PRODUCTIONS, 300))
    texts = [text for text in PRODUCTIONS.text(x) if text is not None]
    assert CHARACTERS.text(CHARACTERS.encode(texts)) == texts


def test_text_ends_at_the_first_padding() -> None:
    x = torch.tensor([[13, 14, 13], [14, 14, 14], [5, 3, 13]], dtype=torch.int16)
    assert CHARACTERS.text(x) == ["x", "", "1+x"]
    assert CHARACTERS.complete(x).tolist() == [True] * 3


def test_a_grammar_of_nothing_but_the_empty_sentence() -> None:
    likelihood = Characters(grammar=Grammar.compile("%start S\n%max_len 2\nS ->").text)
    assert likelihood.encode(["", ""]).tolist() == [[0], [0]]
    assert likelihood.text(likelihood.encode([""])) == [""]


def test_characters_that_cannot_be_encoded() -> None:
    with pytest.raises(ValueError, match="'y' is in no terminal"):
        CHARACTERS.encode(["x", "x+y"])
    with pytest.raises(ValueError, match="15 characters; the grammar's longest has 14"):
        Characters(grammar=WORDS.text).encode(["go go go go goo"])


def test_more_characters_than_int16_has_ids_are_refused() -> None:
    letters = [chr(point) for point in range(0x20000, 0x20000 + 2**15)]
    whole = Characters(grammar=large(letters[:-1]))
    x = whole.encode([letters[0], letters[-2]])
    assert x[:, 0].tolist() == [0, 2**15 - 2]
    assert whole.text(x) == [letters[0], letters[-2]]
    with pytest.raises(UserError, match="32,768 different characters; at most 32,767 work"):
        Characters(grammar=large(letters)).encode([letters[0]])


def large(letters: Sequence[str]) -> str:
    """A grammar with many characters in few productions."""
    chunks = ("".join(letters[start : start + 5000]) for start in range(1, len(letters), 5000))
    words = [letters[0], letters[-1], *chunks]
    return Grammar.compile("%max_len 1\n" + "\n".join(f"S -> '{word}'" for word in words)).text


def test_characters_are_drawn_by_their_probabilities() -> None:
    logits = logits_for(CHARACTERS, 1, 2)
    drawn = CHARACTERS.sample(logits.expand(20_000, -1, -1), rng())
    assert drawn.dtype == torch.int16
    for place in range(2):
        expected = 20_000 * logits[0, place].softmax(0)
        observed = torch.bincount(drawn[:, place].long(), minlength=15)
        assert stats.chisquare(observed, expected).pvalue > 1e-3
    assert torch.equal(CHARACTERS.estimate(logits), logits.argmax(-1).short())


# In a run's record


@pytest.mark.parametrize("likelihood", [PRODUCTIONS, CHARACTERS])
def test_it_is_read_back_from_a_record(likelihood: Productions | Characters) -> None:
    spec = Spec(modality="sentence", shape=(15,), likelihood=likelihood)
    again = Spec.model_validate_json(spec.model_dump_json())
    assert again.likelihood == likelihood
    assert type(again.likelihood) is type(likelihood)
    assert again.likelihood.options() == likelihood.options()


@pytest.mark.parametrize("kind", [Productions, Characters])
@pytest.mark.parametrize("text", ["", "no grammar at all", "S -> 'a", "%max_len x\nS -> 'a'"])
def test_a_broken_grammar_in_a_record_is_one_clear_error(kind: type[Sentences], text: str) -> None:
    likelihood = kind(grammar=text)
    with pytest.raises(UserError) as caught:
        likelihood.parameters((15,))
    assert "\n" not in str(caught.value)


def test_lines_of_text() -> None:
    assert text_lines(b"\xef\xbb\xbfa\r\nb\rc\n\xc2\xb5\xe2\x80\xa8d", "x") == ["a", "b", "c", "µ\u2028d"]
    with pytest.raises(UserError, match=r"^x:3: must be UTF-8 text, got the byte 0xb5$"):
        text_lines(b"\xef\xbb\xbf\n\n\xb5", "x")
