"""What is told of a class that says of itself what no plugin of its kind may."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from dimecli.declaration import fault
from dimecli.plugin import Density, Loss, Metric, Objective, Problem


class Fine(Objective):
    """More than it has to say."""

    latent_space = "sphere"

    def loss(self, model: Any, batch: Any, rng: Any, scale: float = 1.0) -> Loss:
        """As much as is given."""
        return Loss()

    def reconstruction(self, *given: Any, **more: Any) -> Any:
        """Takes anything."""


class Chosen(Problem):
    """A direction that depends on an option."""

    lowest: bool = False

    @property
    def direction(self) -> str:  # type: ignore[override]
        """Either way."""
        return "min" if self.lowest else "max"

    def evaluate(self, sentences: Any, language: Any) -> Any:
        """Nothing."""


class Oval(Fine):
    """A latent space that there is not."""

    latent_space = "oval"  # type: ignore[assignment]


class Listed(Fine):
    """One kind of data, but no set."""

    modalities: ClassVar[Any] = "image"


class Flat(Density):
    """A latent space that there is not, among others."""

    latent_spaces: ClassVar[Any] = frozenset({"sphere", "flat"})

    def fit(self, codes: Any, rng: Any, context: Any) -> Any:
        """Nothing."""

    def restore(self, state: Any, context: Any) -> Any:
        """Nothing."""


class Short(Fine):
    """Forgets the generator."""

    def loss(self, model: Any, x: Any) -> Loss:  # type: ignore[override]
        """Nothing."""
        return Loss()


class Long(Metric):
    """Wants more than there is."""

    def measure(self, subject: Any, samples: Any) -> Any:  # type: ignore[override]
        """Nothing."""


@pytest.mark.parametrize(
    ("cls", "base", "says"),
    [
        (Oval, Objective, ": latent_space is 'oval'; allowed: 'euclidean', 'sphere'"),
        (Listed, Objective, ": modalities is 'image'; give a frozenset of 'image', 'vector', 'sentence'"),
        (Short, Objective, ": loss takes (self, model, x); define loss(self, model, x, rng)"),
        (Long, Metric, ": measure takes (self, subject, samples); define measure(self, subject)"),
    ],
)
def test_a_mistake_is_told_with_its_cure(cls: Any, base: Any, says: str) -> None:
    assert fault(cls, base) == says


def test_a_set_with_a_stranger_is_shown() -> None:
    assert str(fault(Flat, Density)).endswith("; give a frozenset of 'euclidean', 'sphere'")


@pytest.mark.parametrize(("cls", "base"), [(Fine, Objective), (Chosen, Problem)])
def test_what_works_is_no_mistake(cls: Any, base: Any) -> None:
    assert fault(cls, base) is None
