"""The host of classifiers: what a fit may see, how fits are averaged, what is kept."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from dimecli.data.samples import Split
from dimecli.errors import DimeError, UserError
from dimecli.evaluation.classify import classify, restored
from dimecli.evaluation.record import kept
from dimecli.plugin import Classifier, Labelled
from dimecli.registry import make
from dimecli.run.files import read_tensors
from dimecli.testing.runs import TinyRun, tiny_runs

SPLITS: tuple[Split, ...] = ("train", "validation", "test")


@pytest.fixture
def runs(tmp_path: Path) -> dict[str, TinyRun]:
    return dict(tiny_runs(tmp_path))


@pytest.fixture
def run(runs: dict[str, TinyRun]) -> TinyRun:
    return runs["spherical codes of vectors"]


def classifier(name: str, **options: Any) -> Classifier:
    return cast("Classifier", make("classifier", name, **options))


def tiny_mlp() -> Classifier:
    """Too small and too short to tell all classes, so that its fits differ."""
    return classifier("mlp", widths=(2,), steps=3, batch_size=20)


def relabelled(run: TinyRun, split: Split, y: torch.Tensor) -> None:
    run._data[split] = replace(run._data[split], y=y)


@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize("model", ["deterministic", "spherical", "variational"])
@pytest.mark.parametrize("data", ["images", "vectors"])
def test_the_accuracy_is_that_of_a_pipeline_of_sklearn(
    runs: dict[str, TinyRun], data: str, model: str, standardize: bool
) -> None:
    run = runs[f"{model} codes of {data}"]
    (x, y), _, (x_test, y_test) = ((run.codes(split).numpy(), run.samples(split).y) for split in SPLITS)
    steps = [*([StandardScaler()] if standardize else []), KNeighborsClassifier(3)]
    reference = make_pipeline(*steps).fit(x, y)
    found = classify(run, classifier("knn", neighbors=3), standardize=standardize)
    assert found.entry.value == pytest.approx(reference.score(x_test, y_test))


def test_a_fit_sees_training_and_validation_codes_and_never_those_of_the_test(
    run: TinyRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Labelled] = []
    told: list[torch.Tensor] = []
    linear = type(classifier("linear"))
    fit = linear.fit

    class Spied:
        def __init__(self, fitted: Any) -> None:
            self.state = fitted.state
            self._fitted = fitted

        def predict(self, codes: torch.Tensor) -> torch.Tensor:
            told.append(codes)
            found: torch.Tensor = self._fitted.predict(codes)
            return found

    def spy(self: Any, train: Labelled, validation: Labelled, rng: torch.Generator) -> Any:
        seen.extend((train, validation))
        return Spied(fit(self, train, validation, rng))

    monkeypatch.setattr(linear, "fit", spy)
    classify(run, classifier("linear"))
    mean, std = (getattr(np, of)(run.codes("train").double().numpy(), axis=0) for of in ("mean", "std"))
    for labelled, split in zip(seen, SPLITS[:2], strict=True):
        assert labelled.classes == 3
        assert labelled.codes.dtype == torch.float32
        np.testing.assert_allclose(labelled.codes, (run.codes(split).numpy() - mean) / std, atol=1e-5)
        assert torch.equal(labelled.labels, run.samples(split).y)  # type: ignore[arg-type]
    (asked,) = told
    np.testing.assert_allclose(asked, (run.codes("test").numpy() - mean) / std, atol=1e-5)


def test_the_mean_and_the_spread_over_fits(run: TinyRun) -> None:
    found = classify(run, tiny_mlp(), repeats=4, seed=7)
    values = np.array(found.accuracies)
    assert len(set(found.accuracies)) > 1
    assert found.entry.value == pytest.approx(values.mean())
    assert found.std == pytest.approx(values.std(ddof=1))
    assert found.entry.remark.startswith(f"standard deviation over 4 fits {values.std(ddof=1):.4f}; ")
    assert classify(run, tiny_mlp(), repeats=4, seed=7).accuracies == found.accuracies
    assert classify(run, tiny_mlp(), repeats=2, seed=7).accuracies == found.accuracies[:2]
    assert classify(run, tiny_mlp(), repeats=4, seed=8).accuracies != found.accuracies


def test_one_fit_that_draws_has_no_spread(run: TinyRun) -> None:
    assert classify(run, tiny_mlp(), repeats=1).std is None


@pytest.mark.parametrize("name", ["linear", "knn"])
def test_what_draws_nothing_is_fitted_once(run: TinyRun, name: str) -> None:
    found = classify(run, classifier(name), repeats=4, seed=3)
    assert (len(found.accuracies), found.std) == (1, 0.0)
    assert found.entry.conditions["repeats"] == 1
    assert "seed" not in found.entry.conditions  # which has no say


def test_what_is_kept(run: TinyRun) -> None:
    classify(run, tiny_mlp(), repeats=2, seed=7)
    found = classify(run, tiny_mlp(), repeats=2, seed=7, standardize=True)
    (entry,) = kept(run.path, run.record["weights"])
    assert entry == found.entry
    assert (entry.name, entry.direction, entry.unit, entry.weights) == ("accuracy[mlp]", "higher", "", "0" * 64)
    assert entry.origin.startswith("dimecli ")
    assert entry.conditions == {
        "split": "test",
        "n": 60,
        "classifier": {"name": "mlp", **json.loads(json.dumps(tiny_mlp().options()))},
        "standardize": True,
        "repeats": 2,
        "seed": 7,
    }
    classify(run, tiny_mlp(), repeats=2, seed=7, standardize=False)
    assert len(kept(run.path, run.record["weights"])) == 2


@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize("name", ["linear", "knn", "mlp"])
def test_the_last_fit_is_restored_from_tensors(run: TinyRun, name: str, standardize: bool) -> None:
    chosen = tiny_mlp() if name == "mlp" else classifier(name)
    found = classify(run, chosen, repeats=2, standardize=standardize)
    assert found.file == run.path / "classifiers" / f"{name}.safetensors"
    codes = run.codes("test") + 0.3
    again = restored(run, chosen, standardize).predict(codes)
    assert torch.equal(again, found.fitted.predict(codes))
    tensors, about = read_tensors(found.file)
    assert all(isinstance(value, torch.Tensor) for value in tensors.values())
    assert about["classifier"] == {"name": name, **chosen.options()}


def test_only_what_was_asked_for_is_restored(run: TinyRun) -> None:
    says = f"^run {run.path.name} has no fit of classifier 'knn' with these options; classify it first$"
    with pytest.raises(UserError, match=says):
        restored(run, classifier("knn"))
    classify(run, classifier("knn"))
    restored(run, classifier("knn"))
    with pytest.raises(UserError, match=says):
        restored(run, classifier("knn"), standardize=False)
    with pytest.raises(UserError, match=says):
        restored(run, classifier("knn", neighbors=4))


def test_chance_is_the_most_frequent_class_of_the_training_codes(run: TinyRun) -> None:
    relabelled(run, "train", torch.tensor([0] * 20 + [1] * 60 + [2] * 40))
    relabelled(run, "test", torch.tensor([0] * 30 + [1] * 12 + [2] * 18))
    found = classify(run, classifier("linear"))
    assert found.chance == pytest.approx(0.2)
    assert found.entry.remark == "chance (the most frequent class) 0.2000"


@pytest.mark.parametrize("name", ["linear", "knn", "mlp"])
@pytest.mark.parametrize("split", ["train", "test"])
def test_a_class_may_be_missing(run: TinyRun, name: str, split: Split) -> None:
    y = run.samples(split).y
    assert y is not None
    relabelled(run, split, y.where(y < 2, 0))
    assert 0 <= classify(run, tiny_mlp() if name == "mlp" else classifier(name), repeats=1).entry.value <= 1


def test_a_constant_dimension_of_the_codes_does_no_harm(run: TinyRun, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = classify(run, classifier("knn")).entry.value
    codes = {split: run.codes(split) for split in SPLITS}
    constant = {split: torch.cat([of, torch.full((len(of), 1), 0.1)], 1) for split, of in codes.items()}
    monkeypatch.setattr(run, "codes", constant.get)
    assert classify(run, classifier("knn")).entry.value == plain


def test_sentences_have_no_classes(runs: dict[str, TinyRun]) -> None:
    run = runs["deterministic codes of sentences"]
    says = f"^run {run.path.name} cannot be classified: the samples of dataset 'tiny' have no classes$"
    with pytest.raises(UserError, match=says):
        classify(run, classifier("linear"))


@pytest.mark.parametrize("name", ["linear", "knn", "mlp"])
def test_one_class_only(run: TinyRun, name: str) -> None:
    relabelled(run, "train", torch.ones(120, dtype=torch.int64))
    says = f"^run {run.path.name} cannot be classified: all 120 training samples are of one class, and two are needed$"
    with pytest.raises(UserError, match=says):
        classify(run, classifier(name))


def test_too_few_samples(run: TinyRun) -> None:
    with pytest.raises(UserError, match=r"^--neighbors 121: there are only 120 training codes$"):
        classify(run, classifier("knn", neighbors=121))


@pytest.mark.parametrize("split", SPLITS)
def test_codes_that_are_not_finite(run: TinyRun, split: Split, monkeypatch: pytest.MonkeyPatch) -> None:
    codes = {split: run.codes(split).clone() for split in SPLITS}
    codes[split][3, 1] = torch.nan
    monkeypatch.setattr(run, "codes", codes.get)
    says = f"^the codes of the {split} samples are not finite; train again, with a lower learning rate$"
    with pytest.raises(DimeError, match=says):
        classify(run, classifier("linear"))
