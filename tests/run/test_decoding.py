"""Ways to decode, over a model that only counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from dimecli.data.likelihood import Gaussian
from dimecli.data.sentences import Characters, Productions
from dimecli.data.spec import Spec
from dimecli.errors import UserError
from dimecli.grammar import Grammar
from dimecli.model import Autoencoder, Autoregressive
from dimecli.run.decoding import AUTO, Decoding, drawn

GRAMMAR = Grammar.compile("%start S\n%max_len 4\nS -> 'a' S | 'b' S | 'c'").text
SENTENCE = Spec(modality="sentence", shape=(4,), likelihood=Productions(grammar=GRAMMAR))
TEXT = Spec(modality="sentence", shape=(4,), likelihood=Characters(grammar=GRAMMAR))
IMAGE = Spec(modality="image", shape=(1, 2, 2), likelihood=Gaussian())


@pytest.mark.parametrize(
    ("decode", "number"), [("auto", 0), ("argmax", 0), ("sample", 1), ("vote:1", 1), ("vote:1000", 1000)]
)
def test_draws(decode: str, number: int) -> None:
    assert Decoding(decode=decode).draws == number


@pytest.mark.parametrize(
    "decode", ["", "mean", "vote", "vote:", "vote:0", "vote:-1", "vote:1001", "vote:x", "argmax:2"]
)
def test_no_way_to_decode(decode: str) -> None:
    with pytest.raises(ValueError, match="should be auto, argmax, sample or vote:K with K from 1 to 1000"):
        Decoding(decode=decode)


def test_what_suits_the_data() -> None:
    Decoding(decode="vote:3", reserve=False).check(SENTENCE)
    Decoding(decode="vote:3").check(TEXT)
    Decoding(decode="sample").check(IMAGE)


@pytest.mark.parametrize(
    ("spec", "decode", "reserve", "says"),
    [
        (IMAGE, "vote:2", True, "--decode vote:2: no two draws of images agree; allowed: argmax, sample"),
        (IMAGE, "argmax", False, "--no-reserve: it is for derivations of a grammar; this run decodes gaussian"),
        (TEXT, "argmax", False, "--no-reserve: it is for derivations of a grammar; this run decodes characters"),
    ],
)
def test_what_does_not_suit_the_data(spec: Spec, decode: str, reserve: bool, says: str) -> None:
    with pytest.raises(UserError, match=says):
        Decoding(decode=decode, reserve=reserve).check(spec)


def test_a_vote_counts_complete_sentences_only() -> None:
    rng = torch.Generator().manual_seed(0)
    likelihood = Productions(grammar=GRAMMAR)
    drawn = torch.randint(0, 4, (15, 40, 4), generator=rng).where(torch.rand(15, 40, 1, generator=rng) < 0.7, 1)
    model: Any = Model(list(drawn))
    found = Decoding(decode="vote:15")(model, torch.zeros(40, 2), rng)
    for row in range(40):
        sentences = [tuple(ids) for ids in drawn[:, row].tolist()]
        complete = [
            ids for ids, whole in zip(sentences, likelihood.complete(drawn[:, row]).tolist(), strict=True) if whole
        ]
        expected = Counter(complete).most_common(1)[0][0] if complete else sentences[0]  # the first of equals
        assert tuple(found[row].tolist()) == expected
    assert any(likelihood.complete(drawn[:, row]).any() for row in range(40))


class Model:
    """Draws what comes next of a sequence; its estimate is -1."""

    spec = SENTENCE
    decoder = None

    def __init__(self, values: Sequence[list[int] | torch.Tensor]) -> None:
        self.values = iter(values)
        self.reserved: list[bool] = []

    def generate(self, z: Any, rng: torch.Generator | None = None, reserve: bool = True) -> torch.Tensor:
        self.reserved.append(reserve)
        return torch.full((1, 4), -1) if rng is None else torch.as_tensor(next(self.values)).view(-1, 4)


@pytest.mark.parametrize("reserve", [True, False])
@pytest.mark.parametrize(
    ("decode", "expected"), [("argmax", [-1] * 4), ("sample", [2, 3, 3, 3]), ("vote:4", [0, 2, 3, 3])]
)
def test_ways_to_decode(decode: str, reserve: bool, expected: list[int]) -> None:
    model: Any = Model([[2, 3, 3, 3], [0, 0, 0, 0], [0, 2, 3, 3], [0, 2, 3, 3]])
    decoding = Decoding(decode=decode, reserve=reserve)
    assert decoding(model, torch.zeros(1, 2), torch.Generator()).tolist() == [expected]
    assert set(model.reserved) == {reserve}


def test_a_draw_of_an_image() -> None:
    model: Any = SimpleNamespace(spec=IMAGE, decoder=None, generate=lambda z, rng, reserve: z + 1)
    assert Decoding(decode="sample")(model, torch.zeros(2, 4), torch.Generator()).tolist() == [[1] * 4] * 2


class Pixels(Autoregressive):
    """Ones if it draws, else zeros."""

    def forward(self, z: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        return x

    def generate(self, z: torch.Tensor, likelihood: Any, rng: torch.Generator | None, reserve: bool) -> torch.Tensor:
        return torch.full((len(z), 1, 2, 2), float(rng is not None))


@pytest.mark.parametrize(("decode", "expected"), [("auto", 1), ("argmax", 0), ("sample", 1)])
def test_images_are_drawn_unless_told_otherwise_where_each_pixel_follows_others(decode: str, expected: int) -> None:
    model = Autoencoder(IMAGE, nn.Identity(), Pixels(), 2)
    decoding = Decoding(decode=decode)
    assert decoding(model, torch.zeros(3, 2), torch.Generator()).unique().tolist() == [expected]
    assert decoding.of(model).decode == ("sample" if expected else "argmax")


def test_auto_is_argmax_elsewhere_and_keeps_the_reserve() -> None:
    sentences = Autoencoder(SENTENCE, nn.Identity(), Pixels(), 2)
    assert Decoding(reserve=False).of(sentences) == Decoding(decode="argmax", reserve=False)
    assert AUTO.of(Autoencoder(IMAGE, nn.Identity(), nn.Identity(), 2)) == Decoding(decode="argmax")
    assert drawn(sentences) == ""
    assert drawn(Autoencoder(IMAGE, nn.Identity(), Pixels(), 2)) == ", drawn pixel by pixel"
