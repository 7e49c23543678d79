"""Rates of drawn sentences, and sentences in files."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from dimecli.data.samples import Samples
from dimecli.data.sentences import Characters, Productions, Sentences
from dimecli.data.spec import Spec
from dimecli.errors import UserError
from dimecli.grammar import Grammar
from dimecli.run.run import Drawn
from dimecli.run.sentences import Rates, first_different, rates, texts, write_sentences

GRAMMAR = Grammar.compile("%start S\n%max_len 4\nS -> 'a' S | 'b' S | 'c'")


def run(likelihood: Sentences, training: torch.Tensor) -> Any:
    """What `rates` needs of a run."""
    spec = Spec(modality="sentence", shape=tuple(training.shape[1:]), likelihood=likelihood)
    samples = {"train": Samples(spec, training)}
    return SimpleNamespace(model=SimpleNamespace(spec=spec), samples=samples.__getitem__)


def productions(*words: str) -> torch.Tensor:
    """Ids of words of a, b and c, whether the derivation ends or not."""
    rows = [["abc".index(letter) for letter in word] + [GRAMMAR.pad] * (4 - len(word)) for word in words]
    return torch.tensor(rows, dtype=torch.int16)


@pytest.mark.parametrize(
    ("drawn", "expected"),
    [
        (["ac", "bc", "c", "aac"], Rates(complete=1, valid=1, distinct=1, novel=0.75)),
        (["ac", "ac", "c", "c"], Rates(complete=1, valid=1, distinct=0.5, novel=0.5)),
        (["aaaa", "c", "c", "bbbb"], Rates(complete=0.5, valid=0.5, distinct=0.5, novel=0)),
        (["aaaa", "abab"], Rates(complete=0, valid=0, distinct=0, novel=0)),
    ],
)
def test_rates_of_derivations(drawn: list[str], expected: Rates) -> None:
    found = rates(run(Productions(grammar=GRAMMAR.text), productions("c", "abc")), productions(*drawn))
    assert found == expected


def test_what_is_novel_is_unknown_without_the_training_sentences() -> None:
    fake = run(Productions(grammar=GRAMMAR.text), productions("c", "abc"))

    def gone(split: str) -> Samples:
        raise UserError(f"no {split} samples")

    fake.samples = gone
    assert rates(fake, productions("ac", "c", "c")) == Rates(complete=1, valid=1, distinct=2 / 3, novel=None)


@pytest.mark.parametrize(
    ("words", "wanted", "kept", "draws"),
    [
        (["ac", "bc", "c"], 3, [0, 1, 2], 3),
        (["ac", "ac", "aaaa", "c", "bc", "bc"], 3, [0, 3, 4], 6),  # two repeat, one is incomplete
        (["c"] * 32, 2, [0], 32),  # there are no more
    ],
)
def test_different_sentences_are_drawn(words: list[str], wanted: int, kept: list[int], draws: int) -> None:
    fake = run(Productions(grammar=GRAMMAR.text), productions("c"))

    def draw(count: int) -> Drawn:
        x = productions(*words[:count])
        return Drawn(x, torch.arange(len(x))[:, None], {"seed": 0})

    first, drawn = first_different(fake, wanted, draw)
    assert first.codes[:, 0].tolist() == kept
    assert texts(fake, first.x) == [words[row] for row in kept]
    assert first.conditions == {"seed": 0, "draws": draws}
    assert len(drawn.x) == draws


def test_rates_of_characters() -> None:
    likelihood = Characters(grammar=GRAMMAR.text)
    fake = run(likelihood, likelihood.encode(["c", "abc"]))
    drawn = likelihood.encode(["c", "bc", "aa", "cc", ""])
    assert rates(fake, drawn) == Rates(complete=1, valid=0.4, distinct=1, novel=0.5)
    assert texts(fake, drawn) == ["c", "bc", "aa", "cc", ""]


def test_spaces_that_mean_nothing_make_no_sentence_new() -> None:
    grammar = Grammar.compile("%start S\n%max_len 4\n%separator ' '\nS -> 'a' S | 'c'").text
    likelihood = Characters(grammar=grammar)
    fake = run(likelihood, likelihood.encode(["a c"]))
    assert rates(fake, likelihood.encode(["a  c", "a c"])) == Rates(1, 1, 0.5, 0)


def test_sentences_are_written_one_a_line(tmp_path: Path) -> None:
    file = write_sentences(tmp_path / "there" / "x.txt", ["a", None, "b\nc", "µ"])
    assert file.read_bytes() == "a\nb\\nc\nµ\n".encode()
