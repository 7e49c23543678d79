"""Distances to the training samples, of samples and of held-out data."""

from __future__ import annotations

from dataclasses import replace
from statistics import median

import pytest
import torch

from dimecli.errors import UserError
from dimecli.evaluation.subject import Subject
from dimecli.testing.runs import TinyRun
from dimecli_plugins.metrics import nearest
from dimecli_plugins.metrics.nearest import Nearest

NAMES = ["nearest/median", "nearest/mean", "nearest/data-median", "nearest/data-mean", "nearest/ratio"]


def training(run: TinyRun) -> torch.Tensor:
    x = run.samples("train").x
    assert isinstance(x, torch.Tensor)
    return x


@pytest.mark.parametrize("n", [1, 50])
@pytest.mark.parametrize("name", ["spherical codes of images", "variational codes of vectors"])
def test_against_all_pairs(tiny: dict[str, TinyRun], name: str, n: int) -> None:
    run = tiny[name]
    subject = Subject(run, "", n)
    found = list(Nearest().measure(subject))
    assert [one.name for one in found] == NAMES
    known = training(run).flatten(1).double()
    samples, data = (
        torch.cdist(x.flatten(1).double(), known, compute_mode="donot_use_mm_for_euclid_dist").min(1).values
        for x in (subject.samples.x, subject.data)
    )
    medians = median(samples.tolist()), median(data.tolist())
    expected = [medians[0], samples.mean().item(), medians[1], data.mean().item(), medians[0] / medians[1]]
    assert [one.value for one in found] == pytest.approx(expected, rel=1e-5)
    assert found[0].conditions == {"n": n, "density": {"name": "tiny"}, "fitted_on": "train", "training": 120}
    assert found[2].conditions == {"n": n, "training": 120}
    assert found[4].conditions == {**found[0].conditions, "data": n}
    (picture,) = subject.files
    assert picture == run.path / "figures" / "nearest-tiny.png"
    assert picture.read_bytes()[:4] == b"\x89PNG"


def test_the_same_data_whatever_else_is_measured_of(tiny: dict[str, TinyRun], monkeypatch: pytest.MonkeyPatch) -> None:
    """Or numbers whose conditions are the same would be of other data."""
    monkeypatch.setitem(nearest._SAMPLES, "vector", 20)
    run = tiny["deterministic codes of vectors"]
    few, many = ([*Nearest().measure(Subject(run, "", n))][2:4] for n in (30, 50))
    assert few == many
    assert few[0].conditions["n"] == 20
    assert list(Nearest().measure(Subject(run, "", 50, seed=1)))[2].value != many[0].value


def test_sentences_differ_by_edits(tiny: dict[str, TinyRun]) -> None:
    subject = Subject(tiny["deterministic codes of sentences"], "", 50)
    found = list(Nearest().measure(subject))
    assert [one.unit for one in found[:4]] == ["edits"] * 4
    assert 2 * found[0].value == int(2 * found[0].value)
    assert not subject.files


def test_copies_are_told(tiny: dict[str, TinyRun]) -> None:
    run = tiny["deterministic codes of images"]
    subject = Subject(run, "", 40)
    subject.__dict__["samples"] = replace(subject.samples, x=training(run)[:40])
    middle, mean, *_, ratio = Nearest().measure(subject)
    assert middle.value == mean.value == ratio.value == 0


def test_no_ratio_to_data_that_are_copies_themselves(tiny: dict[str, TinyRun]) -> None:
    run = tiny["deterministic codes of vectors"]
    run._data["test"] = run._data["train"]
    assert [one.name for one in Nearest().measure(Subject(run, "", 40))] == NAMES[:4]


def test_the_training_samples_are_their_own_neighbours(tiny: dict[str, TinyRun]) -> None:
    with pytest.raises(UserError, match=r"^--split train: each of its samples is its own neighbour; allowed: valid"):
        list(Nearest().measure(Subject(tiny["deterministic codes of vectors"], "", 40, "train")))
