"""What datasets promise to do."""

from __future__ import annotations

from typing import Any, Literal

from dimecli.data.samples import Samples
from dimecli.lazy import torch
from dimecli.plugin import Dataset
from dimecli.registry import find, names
from dimecli.testing.contract import Contract
from dimecli.testing.expect import expect

_SPLITS: tuple[Literal["train", "test"], ...] = ("train", "test")


def check_dataset(contract: Contract, dataset: Dataset) -> None:
    """Reads both splits, twice."""
    network = ""
    with contract.promise("its network is installed"):
        network = dataset.fitting_network()
        expect(network in names("network"), f"there is no network '{network}'", "name an installed one")
    splits: list[Samples] = []
    for split in _SPLITS:
        with contract.section(split):
            splits.append(_check_split(contract, dataset, split, network))
    if len(splits) == len(_SPLITS):
        train, test = splits
        with contract.promise("test samples are not the training samples"):
            same = train.fingerprint() == test.fingerprint()
            expect(not same, "they are the same", "hold some out, or raise a UserError where there are none")
        with contract.promise("both splits have one spec"):
            one, other = dict(train.spec), dict(test.spec)
            differing = ", ".join(name for name in one if one[name] != other[name])
            expect(not differing, f"they differ in {differing}", "give both the same: one model takes both")


def _check_split(contract: Contract, dataset: Dataset, split: Literal["train", "test"], network: str) -> Samples:
    with contract.needed("read gives samples"):
        samples: object = dataset.read(split)
        expect(isinstance(samples, Samples), f"it gives {type(samples).__name__}", "return Samples(spec, x, y)")
        assert isinstance(samples, Samples)
        expect(len(samples) > 0, "there are none", "raise a UserError that says how to get them")
    if network in names("network"):
        with contract.promise("its network takes them"):
            taken: Any = find("network", network).plugin
            modality = samples.spec.modality
            expect(modality in taken.modalities, f"network '{network}' takes no {modality}", "name another")
    with contract.promise("they have the shape that their spec says"):
        shape = tuple(samples.x[0].shape)
        expect(shape == samples.spec.shape, f"they are {shape}, the spec says {samples.spec.shape}", "make them agree")
    with contract.promise("they have a type that takes no more memory than they need"):
        kind = samples.x[0].dtype
        right = kind == torch.int16 if samples.spec.modality == "sentence" else kind in (torch.uint8, torch.float32)
        expect(right, f"they are {kind}", "give pixels as uint8, symbols as int16, all else as float32")
    if samples.spec.modality == "sentence":
        with contract.promise("sentences are complete"):
            likelihood: Any = samples.spec.likelihood
            complete = isinstance(samples.x, torch.Tensor) and likelihood.complete(samples.x).all()
            expect(complete, "some are incomplete", "give whole derivations")
    with contract.promise("a second read gives the same samples"):
        same = samples.fingerprint() == dataset.read(split).fingerprint()
        expect(same, "it gives others", "fix the order, and seed what is drawn")
    _check_labels(contract, samples)
    return samples


def _check_labels(contract: Contract, samples: Samples) -> None:
    if (labels := samples.y) is None:
        return
    with contract.promise("each sample has one label, the number of a class"):
        count, classes = len(samples), len(samples.spec.classes)
        expect(labels.shape == (count,), f"labels are {tuple(labels.shape)}", f"give {(count,)}, one for each sample")
        least, most = int(labels.min()), int(labels.max())
        cure = "number the classes from 0, and name each in Spec.classes"
        expect(least >= 0 and most < classes, f"labels are {least} to {most}, of {classes} classes", cure)
