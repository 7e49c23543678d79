"""The host of classifiers: fits one to the codes of a run, and keeps what it tells of codes that it has not seen."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from dimecli.console import QUIET, Reporter
from dimecli.data.samples import Split
from dimecli.errors import DimeError, UserError
from dimecli.evaluation.record import Entry, keep, kept
from dimecli.plugin import Classifier, FittedClassifier, Labelled, Measured
from dimecli.registry import entry_of
from dimecli.run.files import read_tensors, write_tensors
from dimecli.run.run import Run
from dimecli.seeds import generator


@dataclass(frozen=True)
class Scaled:
    """A classifier of codes that are moved and scaled first.

    Args:
        fitted: What was fitted to codes with mean 0 and standard deviation 1.
        mean: `(l,)`, subtracted.
        std: `(l,)`, divided by.
    """

    fitted: FittedClassifier
    mean: torch.Tensor
    std: torch.Tensor

    def predict(self, codes: torch.Tensor) -> torch.Tensor:
        """`(N,)` classes of `(N, l)` codes as the run gives them."""
        return self.fitted.predict((codes - self.mean) / self.std)

    def state(self) -> dict[str, torch.Tensor]:
        """The classifier's own, and the scale."""
        return {"codes.mean": self.mean, "codes.std": self.std, **self.fitted.state()}


@dataclass(frozen=True)
class Classified:
    """How well codes tell the classes.

    Args:
        accuracies: Share of the test codes that each fit tells right.
        std: Their standard deviation, with n - 1; None of a single fit of a classifier that draws.
        chance: What is right if every code is told to be of the most frequent class of the training codes.
        fitted: The last fit.
        entry: The mean accuracy as it is kept.
        file: The state of the last fit.
    """

    accuracies: Sequence[float]
    std: float | None
    chance: float
    fitted: FittedClassifier
    entry: Entry
    file: Path


def classify(
    run: Run,
    classifier: Classifier,
    *,
    repeats: int = 5,
    seed: int = 0,
    standardize: bool = True,
    reporter: Reporter = QUIET,
) -> Classified:
    """Fit the training codes, choose by the validation codes, judge by the test codes, and keep the number.

    Args:
        run: Of samples that have classes.
        classifier: What is fitted.
        repeats: Fits, each with draws of its own; a classifier that draws nothing is fitted once.
        seed: Of the draws.
        standardize: Subtract the mean of the training codes, and divide by their standard deviation.
        reporter: Told how far it is.

    Raises:
        UserError: the samples have no classes or all the same one, or the classifier's options do not suit them.
        DimeError: the codes are not finite.
    """
    kept(run.path, run.record["weights"])  # a damaged file is told before any work
    train, validation, test = (_labelled(run, split) for split in ("train", "validation", "test"))
    _check_several(run, train)
    mean, std = _scale(train.codes, standardize)
    train, validation = (Labelled((seen.codes - mean) / std, seen.labels, seen.classes) for seen in (train, validation))
    accuracies = []
    count = repeats if classifier.random else 1
    with reporter.progress("fitting", count, "fit", transient=True) as bar:
        for repeat in range(count):
            fitted = Scaled(classifier.fit(train, validation, generator(seed, f"classify {repeat}")), mean, std)
            accuracies.append(_share(fitted.predict(test.codes) == test.labels))
            bar.update(repeat + 1)
    chance = _share(train.labels.mode().values == test.labels)
    conditions = {"n": len(test.labels), "standardize": standardize, "repeats": count}
    conditions |= {"seed": seed} if classifier.random else {}
    return _keep(run, classifier, accuracies, chance, fitted, conditions)


def restored(run: Run, classifier: Classifier, standardize: bool = True) -> FittedClassifier:
    """The last fit of `classify` that the run keeps; it takes codes as the run gives them.

    Raises:
        UserError: the last fit was of other options, or there is none.
    """
    try:
        state, found = read_tensors(_file(run, classifier))
    except DimeError:
        state, found = {}, {}
    if found != _about(run, classifier, standardize):
        name = entry_of(classifier).name
        raise UserError(f"run {run.path.name} has no fit of classifier '{name}' with these options; classify it first")
    mean, std = state.pop("codes.mean"), state.pop("codes.std")
    return Scaled(classifier.restore(state), mean, std)


def _labelled(run: Run, split: Split) -> Labelled:
    samples = run.samples(split)
    if samples.y is None:
        name = run.record["config"]["dataset"]["name"]
        raise UserError(f"run {run.path.name} cannot be classified: the samples of dataset '{name}' have no classes")
    codes = run.codes(split)
    if not codes.isfinite().all():
        raise DimeError(f"the codes of the {split} samples are not finite; train again, with a lower learning rate")
    return Labelled(codes, samples.y, len(samples.spec.classes))


def _check_several(run: Run, train: Labelled) -> None:
    if (train.labels == train.labels[0]).all():
        only = f"all {len(train.labels)} training samples are of one class"
        raise UserError(f"run {run.path.name} cannot be classified: {only}, and two are needed")


def _scale(codes: torch.Tensor, standardize: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and standard deviation of each dimension, 1 where it is constant; or what changes nothing."""
    from sklearn.preprocessing import StandardScaler

    if not standardize:
        return torch.zeros(codes.shape[1]), torch.ones(codes.shape[1])
    scaler = StandardScaler().fit(codes.double().numpy())
    return torch.from_numpy(scaler.mean_).float(), torch.from_numpy(scaler.scale_).float()


def _share(right: torch.Tensor) -> float:
    return right.double().mean().item()


def _keep(
    run: Run,
    classifier: Classifier,
    accuracies: Sequence[float],
    chance: float,
    fitted: FittedClassifier,
    conditions: dict[str, Any],
) -> Classified:
    """Writes the state of the last fit, and the number with its conditions."""
    file, about = _file(run, classifier), _about(run, classifier, conditions["standardize"])
    write_tensors(file, fitted.state(), about)
    several = len(accuracies) > 1
    std = statistics.stdev(accuracies) if several else None if classifier.random else 0.0
    spread = f"standard deviation over {len(accuracies)} fits {std:.4f}; " if several else ""
    measured = Measured(
        f"accuracy[{about['classifier']['name']}]",
        statistics.fmean(accuracies),
        "higher",
        conditions={"classifier": about["classifier"], **conditions},
        remark=f"{spread}chance (the most frequent class) {chance:.4f}",
    )
    entry = Entry.of(measured, {"split": "test"}, about["origin"], about["weights"])
    keep(run.path, [entry])
    return Classified(accuracies, std, chance, fitted, entry, file)


def _file(run: Run, classifier: Classifier) -> Path:
    return run.path / "classifiers" / f"{entry_of(classifier).name}.safetensors"


def _about(run: Run, classifier: Classifier, standardize: bool) -> dict[str, Any]:
    """What a fit depends on."""
    entry = entry_of(classifier)
    return {
        "classifier": {"name": entry.name, **classifier.options()},
        "standardize": standardize,
        "origin": entry.origin,
        "weights": run.record["weights"],
    }
