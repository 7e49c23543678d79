"""Samples that repeat one another or copy the training data."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from dimecli.data.samples import Samples
from dimecli.data.sentences import Productions
from dimecli.errors import DimeError
from dimecli.evaluation.subject import Subject
from dimecli.testing.runs import TinyRun
from dimecli_plugins.metrics.duplicates import Duplicates


def with_samples(run: TinyRun, x: torch.Tensor) -> Subject:
    subject = Subject(run, "", len(x))
    subject.__dict__["samples"] = replace(subject.samples, x=x)
    return subject


def shares(subject: Subject) -> tuple[float, float]:
    repeated, copied = Duplicates().measure(subject)
    assert (repeated.name, copied.name) == ("duplicates/repeated", "duplicates/copied")
    assert copied.conditions == {**repeated.conditions, "training": 120}
    return repeated.value, copied.value


@pytest.fixture
def images(tiny: dict[str, TinyRun]) -> TinyRun:
    """A run of images whose training pixels have 8 bits."""
    run = tiny["deterministic codes of images"]
    rng = torch.Generator().manual_seed(0)
    run._data["train"] = Samples(run.model.spec, torch.randint(256, (120, 1, 16, 16), generator=rng) / 255)
    return run


def test_planted_copies_of_images(images: TinyRun) -> None:
    pixels = images.samples("train").x
    assert isinstance(pixels, torch.Tensor)
    known = pixels[:10]
    fresh = torch.rand(20, 1, 16, 16, generator=torch.Generator().manual_seed(1))
    assert shares(with_samples(images, fresh)) == (0, 0)
    assert shares(with_samples(images, torch.cat([known, known, fresh]))) == pytest.approx((10 / 40, 10 / 30))
    assert shares(with_samples(images, torch.cat([fresh, fresh[:5]]))) == pytest.approx((5 / 25, 0))


@pytest.mark.parametrize(("levels", "copies"), [(0.4, 1), (0.6, 0)])
def test_images_are_the_same_in_8_bits(images: TinyRun, levels: float, copies: float) -> None:
    pixels = images.samples("train").x
    assert isinstance(pixels, torch.Tensor)
    assert shares(with_samples(images, pixels[:7] + levels / 255))[1] == copies


def test_vectors_are_the_same_in_all_bits(tiny: dict[str, TinyRun]) -> None:
    run = tiny["variational codes of vectors"]
    x = run.samples("train").x
    assert isinstance(x, torch.Tensor)
    x[0, 0] = 0.0
    known = x[:6].clone()
    known[0, 0] = -0.0
    assert shares(with_samples(run, torch.cat([known, known * 1.001]))) == (0, 0.5)


def test_sentences_are_compared_as_texts(tiny: dict[str, TinyRun]) -> None:
    run = tiny["spherical codes of sentences"]
    known, test = run.samples("train").x, run.samples("test").x
    assert isinstance(known, torch.Tensor)
    assert isinstance(test, torch.Tensor)
    texts = run.model.spec.likelihood.text  # type: ignore[union-attr]
    among = set(texts(known))
    drawn = texts(test)
    expected = 1 - len(set(drawn)) / 60, len(set(drawn) & among) / len(set(drawn))
    assert shares(with_samples(run, test)) == pytest.approx(expected)
    assert shares(with_samples(run, known[[0, 0, 0, 0]])) == (0.75, 1)


def test_without_a_valid_sentence_there_is_no_share(tiny: dict[str, TinyRun]) -> None:
    run = tiny["deterministic codes of sentences"]
    likelihood = run.model.spec.likelihood
    assert isinstance(likelihood, Productions)
    broken_off = torch.full((5, 9), likelihood.compiled.pad, dtype=torch.int16)
    with pytest.raises(DimeError, match=r"^none of the 5 sentences that were drawn is valid$"):
        shares(with_samples(run, broken_off))


def test_what_equal_means_is_a_condition(tiny: dict[str, TinyRun]) -> None:
    said = {
        modality: next(iter(Duplicates().measure(Subject(tiny[f"deterministic codes of {modality}s"], "", 9))))
        for modality in ("image", "vector", "sentence")
    }
    assert {modality: one.conditions["equal"] for modality, one in said.items()} == {
        "image": "in 8 bits",
        "vector": "in float32",
        "sentence": "as text",
    }
