"""What metrics are given: shared, made once, and the same for the same seed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from dimecli.errors import UserError
from dimecli.evaluation.subject import Subject
from dimecli.run.interpolate import slerp
from dimecli.testing.runs import TinyRun, tiny_runs


@pytest.fixture
def runs(tmp_path: Path) -> dict[str, TinyRun]:
    return dict(tiny_runs(tmp_path))


KINDS = [
    f"{codes} codes of {data}"
    for codes in ("deterministic", "spherical", "variational")
    for data in ("images", "vectors", "sentences")
]


@pytest.mark.parametrize("kind", KINDS)
def test_the_parts_belong_together(runs: dict[str, TinyRun], kind: str) -> None:
    run = runs[kind]
    subject = Subject(run, "", n=20, split="validation")
    samples = run.samples("validation")
    assert isinstance(samples.x, torch.Tensor)
    assert len(subject.indices) == len(subject.indices.unique()) == 20
    assert torch.equal(subject.data, samples.x[subject.indices])
    assert torch.equal(subject.codes, run.encode(subject.data))
    assert torch.equal(subject.reconstructions, run.decode(subject.codes))
    assert torch.equal(subject.reconstructed.originals, subject.data)
    if samples.y is None:
        assert subject.labels is None
    else:
        assert subject.labels is not None
        assert torch.equal(subject.labels, samples.y[subject.indices])


def test_a_split_with_fewer_samples_is_looked_at_as_a_whole(runs: dict[str, TinyRun]) -> None:
    subject = Subject(runs["deterministic codes of vectors"], n=10_000)
    assert subject.indices.tolist() == list(range(60))


def test_a_seed_decides_all(runs: dict[str, TinyRun]) -> None:
    run = runs["spherical codes of vectors"]
    first, again, other = (Subject(run, "", n=20, seed=seed) for seed in (0, 0, 1))
    for part in ("indices", "interpolations"):
        assert torch.equal(getattr(first, part), getattr(again, part))
        assert not torch.equal(getattr(first, part), getattr(other, part))
    assert torch.equal(first.samples.x, again.samples.x)
    assert not torch.equal(first.samples.x, other.samples.x)


def test_generators_are_fresh_and_differ_by_purpose(runs: dict[str, TinyRun]) -> None:
    subject = Subject(runs["deterministic codes of vectors"])
    first, again, other = (torch.rand(5, generator=subject.rng(purpose)) for purpose in ("a", "a", "b"))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_every_part_is_made_once(runs: dict[str, TinyRun], monkeypatch: pytest.MonkeyPatch) -> None:
    run = runs["deterministic codes of vectors"]
    calls: list[str] = []

    def told(name: str, work: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **more: Any) -> Any:
            calls.append(name)
            return work(*arguments, **more)

        return call

    for name in ("encode", "decode", "sample"):
        monkeypatch.setattr(run, name, told(name, getattr(run, name)))
    subject = Subject(run, "", n=20)
    for _ in range(2):
        _ = subject.data, subject.codes, subject.reconstructed, subject.interpolations, subject.samples
        assert subject.shared("mine", told("mine", lambda: 5)) == 5
    of_sample = ["decode", "encode", "sample"]  # which encodes the training data that a tiny run draws from
    assert sorted(calls) == sorted(["decode", "decode", "encode", "mine", *of_sample])
    assert set(subject.seconds) == {
        "test samples",
        "codes of test samples",
        "reconstructions",
        "interpolations",
        "samples",
        "mine",
    }


def test_the_conditions_of_samples(runs: dict[str, TinyRun]) -> None:
    subject = Subject(runs["deterministic codes of vectors"], "", n=20)
    assert subject.sampling == {"n": 20, "density": {"name": "tiny"}, "fitted_on": "train"}


def test_interpolations_lie_halfway_between_two_samples_each(runs: dict[str, TinyRun]) -> None:
    run = runs["spherical codes of vectors"]
    subject = Subject(run, n=12)
    a, b = torch.cartesian_prod(torch.arange(12), torch.arange(12)).T
    every = run.decode(slerp(subject.codes[a], subject.codes[b], 0.5))  # of all pairs
    near = torch.cdist(subject.interpolations.double(), every.double()) < 1e-5
    pairs = [{(int(a[k]), int(b[k])) for k in row.nonzero().flatten()} for row in near]
    assert all(any(i != j for i, j in found) for found in pairs)
    first_samples = {frozenset(pair) for found in pairs for pair in found if pair[0] != pair[1]}
    assert len(first_samples) == 12  # every sample is in two pairs, as a closed chain has it


def test_one_sample_has_no_pair(runs: dict[str, TinyRun]) -> None:
    with pytest.raises(UserError, match=r"^-n 1: interpolation needs 2 samples of test$"):
        _ = Subject(runs["deterministic codes of vectors"], n=1).interpolations
