"""How far samples are from the training samples."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from dimecli.errors import UserError
from dimecli.lazy import torch
from dimecli.plugin import Measured, Metric

if TYPE_CHECKING:
    from dimecli.evaluation.subject import Subject

_SAMPLES = {"image": 1000, "vector": 1000, "sentence": 100}
_TRAINING = 60_000
_SHOWN, _NEIGHBOURS = 16, 5  # images in the picture, and training images beside each


class Nearest(Metric):
    """Distance of samples to the nearest training sample, beside that of held-out data.

    Images and vectors have Euclidean distances over their values, pixels in [0, 1]; sentences have edit
    distances (Levenshtein) over their symbols, productions or characters. The ratio is that of the two
    medians: near 0 the samples are copies of training samples. Somewhat below 1 it says little: a blurred
    image is nearer to every other image than a sharp one. Measured of at most 1,000 samples (100 sentences)
    and 60,000 training samples.
    """

    def measure(self, subject: Subject) -> Iterator[Measured]:
        """Of the samples and of the split's data, each against the training samples.

        Raises:
            UserError: the split is that of training, whose samples are their own neighbours.
        """
        from dimecli.run import nearest
        from dimecli.run.reconstruct import choose

        if subject.split == "train":
            raise UserError("--split train: each of its samples is its own neighbour; allowed: validation, test")
        run = subject.run
        modality = run.model.spec.modality
        count, held_out = min(subject.n, _SAMPLES[modality]), run.samples(subject.split)
        data = nearest.values(held_out.take(choose(len(held_out), count, subject.seed).tolist()))
        samples = subject.samples.x[:count]
        training = min(_TRAINING, len(run.samples("train")))
        k = min(_NEIGHBOURS if modality == "image" else 1, training)
        distances, indices = nearest.nearest_training(run, torch.cat([samples, data]), k, _TRAINING, subject.seed)
        if modality != "sentence":
            found = nearest.Nearest(subject.samples, distances[: len(samples)], indices[: len(samples)])
            subject.files.append(nearest.save_nearest(run, found.first(_SHOWN)))
        of_samples, of_data = distances[:, 0].double().tensor_split([len(samples)])
        conditions = {**subject.sampling, "n": len(samples), "training": training}
        data_conditions = {"n": len(data), "training": training}
        unit = "edits" if modality == "sentence" else ""
        median, data_median = of_samples.quantile(0.5).item(), of_data.quantile(0.5).item()
        yield Measured("nearest/median", median, None, unit, conditions)
        yield Measured("nearest/mean", of_samples.mean().item(), None, unit, conditions)
        yield Measured("nearest/data-median", data_median, None, unit, data_conditions)
        yield Measured("nearest/data-mean", of_data.mean().item(), None, unit, data_conditions)
        if data_median:  # 0 where most held-out samples are training samples too
            yield Measured(
                "nearest/ratio",
                median / data_median,
                conditions={**conditions, "data": len(data)},
                remark="Near 0: copies of training samples; near 1: as far from them as held-out data.",
            )
