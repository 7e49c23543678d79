"""Samples that are the same as others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from dimecli.errors import DimeError
from dimecli.lazy import torch
from dimecli.plugin import Measured, Metric

if TYPE_CHECKING:
    from dimecli.data.spec import Modality
    from dimecli.evaluation.subject import Subject

_TRAINING = 60_000
_BATCH = 1000
_EQUAL: dict[Modality, str] = {"image": "in 8 bits", "vector": "in float32", "sentence": "as text"}


class Duplicates(Metric):
    """Samples that repeat one another, and samples that are copies of training samples, as shares.

    `repeated` is the share of the samples that are the same as an earlier one; it grows with their number.
    `copied` is the share of the different samples that are training samples (of at most 60,000). Images are
    the same if they are so in 8 bits, vectors in all of their float32 values. Of sentences both are shares of
    the valid ones: 1 less what `dime sample` calls distinct and novel. What is nearly a copy, `nearest` tells.
    """

    def measure(self, subject: Subject) -> Iterator[Measured]:
        """Of the samples among one another, and against the training samples."""
        modality = subject.run.model.spec.modality
        repeated, copied, training = (_of_sentences if modality == "sentence" else _of_values)(subject)
        conditions = {**subject.sampling, "equal": _EQUAL[modality]}
        yield Measured("duplicates/repeated", repeated, "lower", conditions=conditions)
        yield Measured("duplicates/copied", copied, "lower", conditions={**conditions, "training": training})


def _of_sentences(subject: Subject) -> tuple[float, float, int]:
    from dimecli.run.sentences import rates

    training = subject.run.samples("train")
    found = rates(subject.run, subject.samples.x)
    if not found.valid:
        raise DimeError(f"none of the {len(subject.samples.x)} sentences that were drawn is valid")
    assert found.novel is not None  # the training samples are there
    return 1 - found.distinct, 1 - found.novel, len(training)


def _of_values(subject: Subject) -> tuple[float, float, int]:
    from dimecli.data.batches import Batches
    from dimecli.run.reconstruct import choose

    training = subject.run.samples("train")
    if len(training) > _TRAINING:
        training = training.take(choose(len(training), _TRAINING, subject.seed).tolist())
    image = subject.run.model.spec.modality == "image"
    keys = _keys(subject.samples.x, image)
    different, known = set(keys), set[bytes]()
    for batch in Batches(training, torch.device("cpu")).ordered(_BATCH):
        known |= different.intersection(_keys(batch, image))
    return 1 - len(different) / len(keys), len(known) / len(different), len(training)


def _keys(x: torch.Tensor, image: bool) -> list[bytes]:
    """What is equal for samples that are the same."""
    rows = (x.clamp(0, 1) * 255).round().byte() if image else x + 0.0  # which makes -0 to 0
    return [row.tobytes() for row in rows.flatten(1).numpy()]
