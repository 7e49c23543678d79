"""What metrics keep to."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from dimecli.data.spec import Modality
from dimecli.plugin.base import Plugin

if TYPE_CHECKING:
    from dimecli.evaluation.subject import Subject
    from dimecli.run.run import Run


@dataclass(frozen=True)
class Measured:
    """One number, and everything that it depends on besides the run.

    Args:
        name: The metric's name, and after a slash which of its numbers this is: `mine`, `mine/mean`.
        value: The number; one that is not finite is an error of the metric.
        direction: Which way is better, None where neither is.
        unit: Such as `nats`; empty for a share or a pure number.
        conditions: JSON values: at least `n`, the samples that it is of; options that decide the value;
            what it was compared with. Two numbers compare only if all of their conditions are the same.
        remark: What a reader must know to read it right, one sentence; empty where there is nothing.
    """

    name: str
    value: float
    direction: Literal["higher", "lower"] | None = None
    unit: str = ""
    conditions: Mapping[str, Any] = field(default_factory=dict)
    remark: str = ""


class Metric(Plugin):
    """Something to measure of a trained run: of its codes, its reconstructions or its samples."""

    kind = "metric"
    group = "dimecli.metrics"

    modalities: ClassVar[frozenset[Modality]] = frozenset({"image", "vector", "sentence"})

    def refusal(self, run: Run) -> str | None:
        """Why this cannot be measured of such a run, told before any work; None if it can.

        `--metric all` leaves such a metric out. An override calls this one first.
        """
        modality = run.model.spec.modality
        if modality in self.modalities:
            return None
        return f"it is of {' and '.join(f'{of}s' for of in sorted(self.modalities))}; this run is of {modality}s"

    @abstractmethod
    def measure(self, subject: Subject) -> Iterable[Measured]:
        """The numbers, in the order in which they are shown.

        What several metrics need, such as samples and reconstructions, is the subject's, and made once.
        Every draw comes from `subject.rng(name)`, so that the same seed gives the same numbers.

        Raises:
            UserError: there is too little data, or an option does not suit it; names the number and what is needed.
        """
