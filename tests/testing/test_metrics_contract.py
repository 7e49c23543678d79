"""The contract of metrics: what keeps it passes, and each breach is told by the promise that it breaks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from dimecli.plugin import Measured, Metric
from dimecli.registry import find, make
from dimecli.testing import Contract, Finding, check_plugin, findings_of
from dimecli.testing.metrics import check_metric
from dimecli.testing.planted import copying, trained, worse
from dimecli.testing.runs import tiny_runs

SOURCE = '''
from typing import ClassVar

from dimecli.lazy import torch
from dimecli.plugin import Measured, Metric


class Good(Metric):
    """The mean squared error of reconstructions, of vectors."""

    modalities = frozenset({"vector"})
    direction: ClassVar = "lower"

    def measure(self, subject):
        error = (subject.data - subject.reconstructions).square().mean().item()
        yield self.number(subject, value=error)

    def number(self, subject, **given):
        conditions = {"n": len(subject.data)}
        return Measured(**{"name": self.name, "direction": self.direction, "conditions": conditions, **given})

    @property
    def name(self):
        return type(self).__name__


class Spread(Good):
    """The spread of the samples and of the codes."""

    direction: ClassVar = "higher"

    def measure(self, subject):
        yield self.number(subject, name="Spread/codes", value=subject.codes.std(0).mean().item())
        yield self.number(subject, name="Spread/samples", value=subject.samples.x.std(0).mean().item())


class Copied(Good):
    """The share of samples that are training samples."""

    def measure(self, subject):
        known = {tuple(row) for row in subject.run.samples("train").x.tolist()}
        value = sum(tuple(row) in known for row in subject.samples.x.tolist()) / len(subject.samples.x)
        yield self.number(subject, value=value)


class Shared(Good):
    """The share of sentences that are in the test split: one sentence for all could have it all."""

    modalities = frozenset({"sentence"})
    direction: ClassVar = "higher"

    def measure(self, subject):
        known = {tuple(row) for row in subject.run.samples("test").x.tolist()}
        value = sum(tuple(row) in known for row in subject.samples.x.tolist()) / len(subject.samples.x)
        yield self.number(subject, value=value)


class Neutral(Good):
    """A number without a direction."""

    direction: ClassVar = None


class Turned(Good):
    """Takes the largest error for the best."""

    direction: ClassVar = "higher"


class CopiedTurned(Copied):
    """Takes copies for the best."""

    direction: ClassVar = "higher"


class Scaleless(Good):
    """How many dimensions the codes fill, however large they are."""

    direction: ClassVar = "higher"

    def measure(self, subject):
        spread = torch.linalg.eigvalsh(torch.cov(subject.codes.T))
        yield self.number(subject, value=(spread.sum().square() / spread.square().sum()).item())


class Deaf(Good):
    """The number of samples, of which more is better."""

    def measure(self, subject):
        yield self.number(subject, value=float(subject.n))


class Silent(Good):
    """Measures nothing."""

    def measure(self, subject):
        return []


class Twice(Good):
    """Two numbers of one name."""

    def measure(self, subject):
        return [*super().measure(subject), *super().measure(subject)]


class Alias(Good):
    """Is called otherwise."""

    name: ClassVar = "error"


class Infinite(Good):
    """Divides by zero."""

    def measure(self, subject):
        yield self.number(subject, value=float("inf"))


class Countless(Good):
    """Does not say of how many samples."""

    def measure(self, subject):
        yield self.number(subject, value=1.0, direction=None, conditions={})


class Unseeded(Good):
    """Draws from a generator of its own."""

    def measure(self, subject):
        rng = torch.Generator()
        rng.seed()
        yield self.number(subject, value=torch.rand((), generator=rng).item(), direction=None)


class GlobalNoise(Good):
    """Draws from torch's global generator."""

    def measure(self, subject):
        yield self.number(subject, value=torch.rand(()).item(), direction=None)


class Nothing(Good):
    """Measures runs of nothing."""

    modalities = frozenset()


class Needy(Good):
    """Needs what is not here."""

    def refusal(self, run):
        return super().refusal(run) or "the weights are missing; download them"
'''
DIRECTION = "what has a direction becomes worse where a run does"
NUMBERS = "it gives numbers, each with a name of its own"
FINITE = "they are finite, under conditions that are JSON"
BROKEN = {
    "Turned": (DIRECTION, "'Turned' becomes better by"),
    "CopiedTurned": (
        DIRECTION,
        "'CopiedTurned' becomes better by 1 with samples that are those of training, and worse by nothing",
    ),
    "Silent": (NUMBERS, "no number; refuse what cannot be measured, in `refusal`"),
    "Twice": (NUMBERS, "['Twice', 'Twice'] are not all different; name each number"),
    "Alias": ("its numbers are called after it", "'error' is not; begin it with 'Alias'"),
    "Infinite": (FINITE, "measure finite numbers"),
    "Countless": ("they say of how many samples they are", "'Countless' does not; put n into conditions"),
    "Unseeded": ("the same seed gives the same numbers", "draw from `subject.rng` only"),
    "GlobalNoise": (NUMBERS, "it draws from torch's global generator"),
    "Nothing": ("it measures runs of some modality", "it refuses every run; measure those of some modality"),
}
GOOD = ("Good", "Spread", "Copied", "Shared", "Neutral")


@pytest.fixture(autouse=True)
def cases(install: Callable[..., None]) -> None:
    lines = [f"{name} = metric_cases:{name}" for name in (*GOOD, *BROKEN, "Deaf", "Scaleless", "Needy")]
    install("dime-metric-cases", "1.0", {"dimecli.metrics": "\n".join(lines)}, metric_cases=SOURCE)


def unkept(findings: list[Finding]) -> dict[str, str]:
    """What is wrong, by the promise that is broken."""
    return {finding.promise: finding.reason for finding in findings if finding.held is False}


@pytest.mark.parametrize("name", GOOD)
def test_a_good_metric_keeps_every_promise(name: str) -> None:
    assert all(finding.held for finding in findings_of(find("metric", name)))


@pytest.mark.parametrize("name", BROKEN)
def test_a_breach_is_told_by_its_promise(name: str) -> None:
    promise, reason = BROKEN[name]
    found = unkept(findings_of(find("metric", name)))
    assert reason in found[promise]
    assert found.keys() <= {promise, DIRECTION}


@pytest.mark.parametrize("name", ["Deaf", "Scaleless"])
def test_a_number_that_nothing_moves_but_rounding_is_not_tried(name: str) -> None:
    told = str(check_plugin("metric", name))
    assert told.endswith(f"{DIRECTION}: {name}: nothing that can be made worse here moves it")


def test_what_is_not_here_is_told() -> None:
    told = str(check_plugin("metric", "Needy"))
    assert told.endswith("it measures runs of some modality: the weights are missing; download them")


@pytest.mark.parametrize(
    "name", ["active-units", "duplicates", "elbo", "mmd-uniform", "precision-recall", "reconstruction", "uniformity"]
)
def test_a_built_in_metric_with_the_other_direction_is_caught(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    metric = make("metric", name)
    turned: Any = {"higher": "lower", "lower": "higher", None: None}
    measure = type(metric).measure

    def other_way(self: Metric, subject: Any) -> Iterable[Measured]:
        return [replace(one, direction=turned[one.direction]) for one in measure(self, subject)]

    monkeypatch.setattr(type(metric), "measure", other_way)
    contract = Contract(asks=True)
    check_metric(contract, metric)
    assert list(unkept(contract.findings)) == [DIRECTION]


def test_what_is_planted_is_there(tmp_path: Path) -> None:
    name = "deterministic codes of vectors"
    run = trained(name, dict(tiny_runs(tmp_path))[name])
    x: Any = run.samples("test").x
    error = (run.decode(run.encode(x)) - x).square().mean()
    assert error < 0.02  # the noise has 0.01
    (_, same), (_, near) = worse(run)
    assert len(same.decode(same.encode(x)).unique(dim=0)) == 1
    assert near.encode(x).std(0).max() < 0.01 < run.encode(x).std(0).min()
    assert torch.equal(near.sample(5).codes, run.sample(5).codes)
    ((_, copies),) = copying(run)
    training: Any = run.samples("train").x
    assert torch.equal(copies.sample(5).x, training[:5])
    assert torch.equal(copies.encode(x), run.encode(x))
