"""The contract of datasets: what keeps it passes, and each breach is told by the promise that it breaks."""

from __future__ import annotations

from typing import Literal

import pytest
import torch

from dimecli.data.likelihood import Gaussian
from dimecli.data.sentences import Productions
from dimecli.errors import UserError
from dimecli.plugin import Dataset, Samples, Spec
from dimecli.testing import Contract, Finding
from dimecli.testing.datasets import check_dataset

VECTOR = Spec(modality="vector", shape=(3,), likelihood=Gaussian(), classes=("a", "b"))
SENTENCE = Spec(modality="sentence", shape=(3,), likelihood=Productions(grammar="%max_len 3\nS -> 'a' S | 'b'"))

Split = Literal["train", "test"]


def findings(dataset: Dataset) -> list[Finding]:
    contract = Contract(asks=True)
    with contract.section(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        check_dataset(contract, dataset)
    return contract.findings


class Good(Dataset):
    """Noise with labels."""

    def read(self, split: Split) -> Samples:
        x = torch.randn(20, 3, generator=torch.Generator().manual_seed(5 + (split == "test")))
        return Samples(VECTOR, x, torch.arange(20) % 2)


class GoodSentences(Dataset):
    """Words of a and b."""

    network = "grammar-conv-gru"

    def read(self, split: Split) -> Samples:
        ids = [[1, 2, 2], [0, 1, 2]]
        return Samples(SENTENCE, torch.tensor(ids if split == "train" else ids[::-1], dtype=torch.int16))


@pytest.mark.parametrize("dataset", [Good, GoodSentences])
def test_a_good_dataset_keeps_every_promise(dataset: type[Dataset]) -> None:
    assert all(finding.held for finding in findings(dataset()))


def test_a_dataset_that_is_not_here_says_so_and_nothing_more_of_it_is_tried() -> None:
    class Missing(Good):
        def read(self, split: Split) -> Samples:
            raise UserError("the noise is not there; make some")

    told = [str(finding) for finding in findings(Missing()) if not finding.held]
    reason = "read gives samples: the noise is not there; make some"
    assert told == [f"train, {reason}", f"test, {reason}"]
    assert len(findings(Missing())) == 3
    assert all(finding.held is not False for finding in findings(Missing()))


class Empty(Good):
    def read(self, split: Split) -> Samples:
        return Samples(VECTOR, torch.zeros(0, 3))


class Orphan(Good):
    network = "nobody"


class Elsewhere(Good):
    """Vectors for a network of images."""

    network = "rae-conv"


class Misshapen(Good):
    def read(self, split: Split) -> Samples:
        return Samples(VECTOR, torch.full((4, 5), float(len(split))))


class Fickle(Good):
    def read(self, split: Split) -> Samples:
        return Samples(VECTOR, torch.randn(20, 3))


class FromOne(Good):
    def read(self, split: Split) -> Samples:
        return Samples(VECTOR, torch.full((2, 3), float(len(split))), torch.tensor([1, 2]))


class Unlabelled(Good):
    def read(self, split: Split) -> Samples:
        return Samples(VECTOR, torch.full((2, 3), float(len(split))), torch.tensor([1]))


class Halves(GoodSentences):
    def read(self, split: Split) -> Samples:
        return Samples(
            SENTENCE, torch.tensor([[0, 1, 2], [0, 0, 0]][:: 1 if split == "train" else -1], dtype=torch.int16)
        )


class Long(GoodSentences):
    def read(self, split: Split) -> Samples:
        samples = super().read(split)
        assert isinstance(samples.x, torch.Tensor)
        return Samples(samples.spec, samples.x.long())


class Raising(Good):
    def read(self, split: Split) -> Samples:
        raise KeyError("noise")


LABELS = "each sample has one label, the number of a class"
BREACHES: dict[type[Dataset], tuple[str, str]] = {
    Empty: ("read gives samples", "there are none; raise a UserError that says how to get them"),
    Raising: ("read gives samples", "KeyError: 'noise'"),
    Elsewhere: ("its network takes them", "network 'rae-conv' takes no vector"),
    Misshapen: ("they have the shape that their spec says", "they are (5,), the spec says (3,)"),
    Fickle: ("a second read gives the same samples", "fix the order, and seed what is drawn"),
    FromOne: (LABELS, "labels are 1 to 2, of 2 classes; number the classes from 0"),
    Unlabelled: (LABELS, "labels are (1,); give (2,), one for each sample"),
    Halves: ("sentences are complete", "give whole derivations"),
    Long: ("they have a type that takes no more memory than they need", "they are torch.int64"),
}


@pytest.mark.parametrize("dataset", BREACHES, ids=lambda dataset: dataset.__name__)
def test_a_breach_is_told_of_both_splits_by_its_own_promise(dataset: type[Dataset]) -> None:
    told = {
        (finding.where, finding.promise): finding.reason for finding in findings(dataset()) if finding.held is False
    }
    promise, reason = BREACHES[dataset]
    assert told.keys() == {("train", promise), ("test", promise)}
    assert all(reason in wrong for wrong in told.values())


def test_a_test_set_that_is_the_training_set() -> None:
    class Again(Good):
        def read(self, split: Split) -> Samples:
            return super().read("train")

    told = [str(finding) for finding in findings(Again()) if not finding.held]
    assert told == [
        "test samples are not the training samples: they are the same; hold some out, or raise a UserError where there "
        "are none"
    ]


def test_splits_of_two_shapes() -> None:
    class Wider(Good):
        def read(self, split: Split) -> Samples:
            width = 3 if split == "train" else 4
            return Samples(VECTOR.model_copy(update={"shape": (width,)}), torch.zeros(20, width))

    told = [str(finding) for finding in findings(Wider()) if not finding.held]
    assert told == ["both splits have one spec: they differ in shape; give both the same: one model takes both"]


def test_a_network_that_nobody_has_is_told_once() -> None:
    told = [str(finding) for finding in findings(Orphan()) if not finding.held]
    assert told == ["its network is installed: there is no network 'nobody'; name an installed one"]
