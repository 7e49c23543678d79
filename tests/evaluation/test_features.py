"""What is compared with the data, and under which conditions."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
import torch

from dimecli.data.likelihood import Bernoulli
from dimecli.data.samples import Split
from dimecli.errors import DimeError, UserError
from dimecli.evaluation.distances import frechet, frechet_distances, kernel_distances
from dimecli.evaluation.features import Extractor, FeatureMetric, features
from dimecli.evaluation.record import Entry
from dimecli.evaluation.subject import Subject
from dimecli.registry import make
from dimecli.testing.runs import TinyRun, tiny_runs

PARTS = ["samples", "reconstruction", "interpolation", "floor"]


@pytest.fixture
def tiny(tmp_path: Path) -> dict[str, TinyRun]:
    return dict(tiny_runs(tmp_path))


@pytest.fixture
def run(tiny: dict[str, TinyRun]) -> TinyRun:
    return tiny["deterministic codes of vectors"]


VALUES = Extractor("values", lambda x: x)


def test_names_conditions_and_directions(run: TinyRun) -> None:
    rows = list(frechet_distances("fd", Subject(run, n=50), VALUES))
    assert [row.name for row in rows] == [f"fd[values]/{part}" for part in PARTS]
    assert [row.direction for row in rows] == ["lower", "lower", "lower", None]
    assert rows[0].conditions == {"density": {"name": "tiny"}, "fitted_on": "train", "n": 50, "reference_n": 50}
    assert rows[1].conditions == rows[2].conditions == {"of": "validation", "n": 50, "reference_n": 50}
    assert rows[3].conditions == {"of": "train", "n": 50, "reference_n": 50}
    assert [row.remark for row in rows[:3]] == ["", "", ""]
    assert rows[3].remark.startswith("The floor: n real training samples;")


def test_a_part_of_fewer_samples_stands_beside_a_floor_of_as_many(run: TinyRun) -> None:
    subject = Subject(run, n=100)
    rows = {row.name.partition("/")[2]: row for row in frechet_distances("fd", subject, VALUES)}
    assert (rows["floor"].conditions["n"], rows["reconstruction"].conditions["n"]) == (100, 60)
    told = rows["reconstruction"].remark
    assert told.startswith("As many real training samples get ")
    assert 0 < float(told.split()[-1].rstrip(".")) < rows["reconstruction"].value
    assert rows["samples"].remark == ""


def test_a_part_is_what_its_name_says(run: TinyRun) -> None:
    subject = Subject(run, n=1000, seed=3)
    data = {part: features(subject, VALUES, part) for part in ("data", "reconstruction", "floor")}
    splits: dict[Split, torch.Tensor] = {split: run.samples(split).x for split in ("train", "validation", "test")}  # type: ignore[misc]
    torch.testing.assert_close(data["data"], splits["test"])
    torch.testing.assert_close(data["floor"], splits["train"])
    torch.testing.assert_close(data["reconstruction"], run.decode(run.encode(splits["validation"])))
    torch.testing.assert_close(features(subject, VALUES, "samples"), subject.samples.x)
    found = {row.name.partition("/")[2]: row.value for row in frechet_distances("fd", subject, VALUES)}
    for part, x in data.items():
        if part != "data":
            assert found[part] == pytest.approx(frechet(x, data["data"]))


def test_where_pixels_are_binarised_decoded_ones_are_too(tiny: dict[str, TinyRun]) -> None:
    """Or a model that is perfect would be told from the data by its grey."""
    run = tiny["deterministic codes of images"]
    run.model.spec = run.model.spec.model_copy(update={"likelihood": Bernoulli(dynamic=True)})
    subject, pixels = Subject(run, n=50), Extractor("pixels", lambda x: x.flatten(1))
    for part in ("data", "samples", "reconstruction", "interpolation", "floor"):
        assert features(subject, pixels, part).unique().tolist() == [0, 1]
    probabilities, draws = subject.samples.x.flatten(1), features(subject, pixels, "samples")
    assert len(probabilities.unique()) > 100
    error = (probabilities * (1 - probabilities)).sum().sqrt() / probabilities.numel()
    assert abs(draws.mean() - probabilities.mean()) < 4 * error
    assert torch.equal(features(Subject(run, n=50), pixels, "samples"), draws)


@pytest.mark.parametrize(("split", "of"), [("test", "validation"), ("validation", "test"), ("train", "validation")])
def test_reconstructions_are_never_of_what_they_are_compared_with(run: TinyRun, split: Split, of: str) -> None:
    rows = list(frechet_distances("fd", Subject(run, n=50, split=split), VALUES))
    assert {row.conditions["of"] for row in rows[1:3]} == {of}
    assert len(rows) == (3 if split == "train" else 4)  # training samples against themselves would say nothing


def test_features_are_made_once_for_all_metrics(run: TinyRun) -> None:
    sizes = []

    def network(x: torch.Tensor) -> torch.Tensor:
        sizes.append(len(x))
        return x

    subject, extractor = Subject(run, n=50), Extractor("counted", network, {}, 20)
    rows = [*frechet_distances("fd", subject, extractor), *kernel_distances("kd", subject, extractor, 2, 10)]
    assert sizes == 5 * [20, 20, 10]
    assert len(rows) == 8
    list(frechet_distances("fd", subject, Extractor("other", network, {}, 20)))
    assert len(sizes) == 30


def test_a_shared_part_is_timed_without_those_that_it_needs(run: TinyRun, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = itertools.count()
    monkeypatch.setattr("dimecli.evaluation.subject.time.monotonic", lambda: float(next(clock)))
    subject = Subject(run)
    assert subject.shared("outer", lambda: subject.shared("inner", lambda: 7)) == 7
    assert subject.seconds == {"inner": 1, "outer": 2}
    assert subject.shared("outer", lambda: 8) == 7


def test_subsets_are_as_large_as_the_data_allow(run: TinyRun) -> None:
    rows = list(kernel_distances("kd", Subject(run, n=100), VALUES, 3, 20))
    assert {row.conditions["subset_size"] for row in rows} == {20}
    rows = list(kernel_distances("kd", Subject(run, n=100), VALUES, 3, 1000))  # half of the 60 samples of the split
    assert {(row.conditions["subsets"], row.conditions["subset_size"]) for row in rows} == {(3, 30)}
    assert rows[0].remark.startswith("Standard deviation over the subsets: ")
    again = list(kernel_distances("kd", Subject(run, n=100), VALUES, 3, 1000))
    other = list(kernel_distances("kd", Subject(run, n=100, seed=1), VALUES, 3, 1000))
    assert rows == again
    assert [row.value for row in rows] != [row.value for row in other]


def test_numbers_under_different_settings_never_compare(run: TinyRun) -> None:
    resized = Extractor("values", lambda x: x, {"resize": "antialiased"})
    settings = [
        frechet_distances("fd", Subject(run, n=50), VALUES),
        frechet_distances("fd", Subject(run, n=40), VALUES),
        frechet_distances("fd", Subject(run, n=50), resized),
        frechet_distances("fd", Subject(run, n=50), Extractor("cnn-a:00000000", lambda x: x)),
        kernel_distances("fd", Subject(run, n=50), VALUES, 3, 20),
        kernel_distances("fd", Subject(run, n=50), VALUES, 3, 30),
        kernel_distances("fd", Subject(run, n=50), VALUES, 4, 30),
    ]
    for rows in zip(*settings, strict=True):
        keys = {Entry.of(row, {}, "", "").key for row in rows}
        assert len(keys) == len(settings)


def test_too_few_samples_for_a_covariance_are_told_beside_the_number(run: TinyRun) -> None:
    rows = list(frechet_distances("fd", Subject(run, n=5), VALUES))  # 5 features
    assert {row.remark for row in rows} == {"Mostly bias: 5 samples are too few to tell the covariance of 5 features."}
    assert "bias" not in " ".join(row.remark for row in frechet_distances("fd", Subject(run, n=6), VALUES))


def test_one_sample_is_a_mistake(run: TinyRun) -> None:
    with pytest.raises(UserError, match=r"^-n: got 1 samples to compare with 1; allowed: 2 or more of each$"):
        list(frechet_distances("fd", Subject(run, n=1), VALUES))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_features_that_are_not_finite_are_told(run: TinyRun, value: float) -> None:
    broken = Extractor("values", lambda x: torch.where(torch.arange(len(x))[:, None] == 3, value, x))
    message = r"^features \[values\] of data are not finite: the model decodes NaN or infinity$"
    with pytest.raises(DimeError, match=message):
        list(frechet_distances("fd", Subject(run, n=50), broken))


@pytest.mark.parametrize("name", ["fd", "kd"])
def test_refusals(tiny: dict[str, TinyRun], name: str) -> None:
    metric: FeatureMetric = make("metric", name)
    assert metric.refusal(tiny["deterministic codes of vectors"]) is None
    assert metric.refusal(tiny["deterministic codes of sentences"]) == (
        "it is of images and vectors; this run is of sentences"
    )
    images = tiny["deterministic codes of images"]
    assert metric.refusal(images) is None
    images.model.spec = images.model.spec.model_copy(update={"classes": ()})
    assert metric.refusal(images) == (
        "the dataset has no labels to train a feature extractor with; give --extractor FILE"
    )
    assert make("metric", name, extractor="file").refusal(images) is None


def test_vectors_have_no_extractor(run: TinyRun) -> None:
    message = r"^--extractor file: this run is of vectors, whose values are the features$"
    with pytest.raises(UserError, match=message):
        make("metric", "fd", extractor="file").look(Subject(run))
