"""What metrics of equally many samples and data compare."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from dimecli.data.samples import Samples
from dimecli.evaluation.features import Extractor
from dimecli.evaluation.pairs import PairMetric
from dimecli.evaluation.subject import Subject
from dimecli.plugin import Measured
from dimecli.testing.runs import TinyRun, tiny_runs


class Pairs(PairMetric):
    """A metric that measures nothing."""

    def measure(self, subject: Subject) -> Iterator[Measured]:
        yield from ()


@pytest.fixture
def tiny(tmp_path: Path) -> dict[str, TinyRun]:
    return dict(tiny_runs(tmp_path))


@pytest.mark.parametrize(("n", "expected"), [(100, 60), (20, 20)])
def test_vectors_are_compared_by_their_values(tiny: dict[str, TinyRun], n: int, expected: int) -> None:
    subject = Subject(tiny["deterministic codes of vectors"], "", n)
    extractor, data, samples, conditions = Pairs().pair(subject)
    assert extractor.name == "values"
    assert torch.equal(data, subject.data)
    assert torch.equal(samples, subject.samples.x[:expected])
    assert conditions == {"n": expected, "density": {"name": "tiny"}, "fitted_on": "train"}


def test_images_with_labels_are_compared_by_features(tiny: dict[str, TinyRun], monkeypatch: pytest.MonkeyPatch) -> None:
    made = Extractor("cnn-tiny:ab12cd34", lambda x: x.flatten(1)[:, :64], {"extractor_accuracy": 0.9})
    monkeypatch.setattr("dimecli.evaluation.extractor.trained", lambda subject: made)
    extractor, data, samples, conditions = Pairs().pair(Subject(tiny["spherical codes of images"], "", 30))
    assert extractor is made
    assert data.shape == samples.shape == (30, 64)
    assert conditions["extractor_accuracy"] == 0.9


def test_images_without_labels_are_compared_by_their_pixels(tiny: dict[str, TinyRun]) -> None:
    run = tiny["deterministic codes of images"]
    run.model.spec = run.model.spec.model_copy(update={"classes": ()})
    run._data = {split: Samples(run.model.spec, samples.x) for split, samples in run._data.items()}
    assert Pairs().refusal(run) is None
    subject = Subject(run, "", 30)
    extractor, data, samples, _ = Pairs().pair(subject)
    assert extractor.name == "values"
    assert torch.equal(data, subject.data.flatten(1))
    assert torch.equal(samples, subject.samples.x.flatten(1))


def test_sentences_are_refused(tiny: dict[str, TinyRun]) -> None:
    refusal = Pairs().refusal(tiny["variational codes of sentences"])
    assert refusal == "it is of images and vectors; this run is of sentences"
