"""Features that images are compared by, and the base of the metrics that compare them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from dimecli.data.spec import Modality
from dimecli.errors import DimeError, UserError
from dimecli.lazy import torch
from dimecli.plugin import Metric

if TYPE_CHECKING:
    from dimecli.evaluation.subject import Subject
    from dimecli.run.run import Run

Part = Literal["data", "samples", "reconstruction", "interpolation", "floor"]


@dataclass(frozen=True)
class Extractor:
    """What makes features of samples.

    Args:
        name: What stands in the brackets of a metric's name, such as `cnn-mnist:ab12cd34`.
        network: From `(B, *shape)` samples to `(B, d)` features, on a device of its own.
        conditions: What else decides the features, or tells how good they are; for `Measured`.
        batch_size: Samples that the network is given at once.
    """

    name: str
    network: Callable[[torch.Tensor], torch.Tensor]
    conditions: Mapping[str, Any] = field(default_factory=dict)
    batch_size: int = 500


class FeatureMetric(Metric):
    """A metric of features: those of a small classifier of the run's dataset, or of vectors the values themselves.

    The classifier is trained on the training samples and their labels when it is first needed, and kept for
    every later run on the same data. Numbers compare only if they are of the same file.
    """

    extractor: Path | None = Field(
        None,
        description="File of a feature extractor that somebody trained, to compare numbers with theirs; if not given, "
        "one is trained on the run's dataset and kept in $DIME_CACHE.",
    )

    modalities: ClassVar[frozenset[Modality]] = frozenset({"image", "vector"})

    def refusal(self, run: Run) -> str | None:
        """As of any metric; also where there are no labels to train an extractor with."""
        spec = run.model.spec
        unlabelled = spec.modality == "image" and not spec.classes and self.extractor is None
        missing = "the dataset has no labels to train a feature extractor with; give --extractor FILE"
        return super().refusal(run) or (missing if unlabelled else None)

    def look(self, subject: Subject) -> Extractor:
        """What makes the features.

        Raises:
            UserError: the file is none of an extractor, or of one for other images; there are no labels.
        """
        if subject.run.model.spec.modality == "vector":
            if self.extractor:
                raise UserError(f"--extractor {self.extractor}: this run is of vectors, whose values are the features")
            return Extractor("values", lambda x: x)
        from dimecli.evaluation.extractor import load, trained

        if (file := self.extractor) is None:
            return subject.shared("extractor", lambda: trained(subject))
        return subject.shared(f"extractor {file}", lambda: load(file, subject.run))


def features(subject: Subject, extractor: Extractor, part: Part) -> torch.Tensor:
    """`(n, d)` float32 features of one set of samples; made once for all metrics.

    Args:
        subject: Whose samples.
        extractor: What makes the features.
        part: `data` is what the others are compared with: the samples of the subject's split; `samples` are
            those drawn from the density. `reconstruction` and `interpolation` are decoded from codes of the
            validation split, and from midpoints of their arcs, as in RAE (appendix; of the test split where
            `data` is the validation split). `floor` are training samples, which no model made. Where the
            pixels of data are binarised, those that are decoded are, too, or grey alone would tell them apart.

    Raises:
        DimeError: features are not finite.
        UserError: there are too few samples.
    """
    return subject.shared(f"features [{extractor.name}] of {part}", lambda: _extract(subject, extractor, part))


def compared(subject: Subject, extractor: Extractor) -> Iterator[tuple[Part, torch.Tensor, dict[str, Any]]]:
    """What is compared with `data`: the part, its features, and the conditions of both."""
    from dimecli.data.samples import Split

    reference = {"reference_n": len(features(subject, extractor, "data")), **extractor.conditions}
    held_out: Split = _held_out(subject).split
    of: dict[Part, dict[str, Any]] = {
        "samples": subject.sampling,
        "reconstruction": {"of": held_out},
        "interpolation": {"of": held_out},
        "floor": {"of": "train"},
    }
    if subject.split == "train":
        del of["floor"]
    for part, conditions in of.items():
        found = features(subject, extractor, part)
        yield part, found, {**conditions, "n": len(found), **reference}


def _extract(subject: Subject, extractor: Extractor, part: Part) -> torch.Tensor:
    x = _samples(subject, part)
    parts = []
    with torch.no_grad(), subject.reporter.progress(f"features of {part}", len(x), "sample", transient=True) as bar:
        for batch in x.split(extractor.batch_size):
            parts.append(extractor.network(batch).float().cpu())
            bar.update(sum(map(len, parts)))
    found = torch.cat(parts)
    if not found.isfinite().all():
        raise DimeError(f"features [{extractor.name}] of {part} are not finite: the model decodes NaN or infinity")
    return found


def _samples(subject: Subject, part: Part) -> torch.Tensor:
    """`(n, *shape)` samples of a part, all as the model is shown data: where it sees binary draws, decoded ones too."""
    if part == "data":
        return subject.data
    if part == "floor":
        from dimecli.run.reconstruct import choose, observed

        places = choose(len(subject.run.samples("train")), subject.n, subject.seed)
        return observed(subject.run, "train", places, subject.seed)
    if part == "samples":
        decoded = subject.samples.x
    else:
        held_out = _held_out(subject)
        decoded = held_out.reconstructions if part == "reconstruction" else held_out.interpolations
    return subject.run.model.spec.likelihood.observe(decoded, subject.rng(f"observe {part}"))


def _held_out(subject: Subject) -> Subject:
    """Samples that were neither trained on nor are what is compared with."""
    from dimecli.evaluation.subject import Subject

    split: Literal["test", "validation"] = "test" if subject.split == "validation" else "validation"
    return subject.shared(
        f"subject of {split}", lambda: Subject(subject.run, subject.density, subject.n, split, subject.seed)
    )
