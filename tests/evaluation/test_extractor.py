"""The classifier whose features compare images: trained once, kept, and noticed if it is not what was written."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dimecli.console import Reporter
from dimecli.data.samples import Samples
from dimecli.errors import UserError
from dimecli.evaluation import extractor
from dimecli.evaluation.distances import frechet, frechet_distances
from dimecli.evaluation.extractor import FEATURES, body, load, train, trained
from dimecli.evaluation.features import features
from dimecli.evaluation.subject import Subject
from dimecli.registry import make
from dimecli.run.files import file_hash, read_tensors, write_tensors
from dimecli.testing.runs import TinyRun, tiny_runs


class Heard(Reporter):
    """Keeps what is said."""

    def __init__(self) -> None:
        super().__init__(quiet=True)
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TinyRun:
    """Images of three classes; extractors train for a moment, into a cache of the test's own."""
    monkeypatch.setenv("DIME_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(extractor, "_STEPS", 40)
    monkeypatch.setattr(extractor, "_EVERY", 20)
    return dict(tiny_runs(tmp_path))["deterministic codes of images"]


def kept(tmp_path: Path) -> Path:
    [file] = (tmp_path / "cache" / "extractors").iterdir()
    return file


def test_it_is_trained_once_and_kept(run: TinyRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heard = Heard()
    first = trained(Subject(run, reporter=heard))
    file = kept(tmp_path)
    assert first.name == f"cnn-tiny:{file_hash(file)[:8]}"
    assert first.conditions == {"extractor_accuracy": 1.0}  # noise around three patterns
    [line] = heard.lines
    assert line == (
        "Note: trained a classifier of tiny once, whose features compare its images (test accuracy 1.0000); "
        f"kept in {file}, for --extractor elsewhere"
    )
    x = run.samples("test").x
    assert isinstance(x, torch.Tensor)
    assert first.network(x).shape == (60, FEATURES)
    monkeypatch.setattr(extractor, "train", None)  # a second training would fail
    again = trained(Subject(run, reporter=heard))
    assert again.name == first.name
    assert torch.equal(again.network(x), first.network(x))
    assert len(heard.lines) == 1


def test_it_is_the_same_bits_each_time_and_touches_no_global_generator(
    run: TinyRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = trained(Subject(run))
    monkeypatch.setenv("DIME_CACHE", str(tmp_path / "other"))
    torch.manual_seed(7)
    before = torch.random.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()  # type: ignore[index]
    assert trained(Subject(run, seed=5)).name == first.name
    after = torch.random.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()  # type: ignore[index]
    assert torch.equal(before[0], after[0])
    assert before[1:] == after[1:]


def test_other_training_samples_have_an_extractor_of_their_own(run: TinyRun, tmp_path: Path) -> None:
    first = trained(Subject(run))
    samples = run.samples("train")
    run._data["train"] = samples.take(range(100))
    assert trained(Subject(run)).name != first.name
    assert len(list((tmp_path / "cache" / "extractors").iterdir())) == 2


def tamper(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)


@pytest.mark.parametrize("damage", ["edited", "truncated"])
def test_a_kept_file_that_was_damaged_is_made_again(run: TinyRun, tmp_path: Path, damage: str) -> None:
    name, file, heard = trained(Subject(run)).name, kept(tmp_path), Heard()
    if damage == "edited":
        tamper(file)
        said = "is not what was written: it was damaged or edited"
    else:
        file.write_bytes(file.read_bytes()[:100])
        said = "cannot be read"
    assert trained(Subject(run, reporter=heard)).name == name
    assert heard.lines[0].startswith(f"Warning: {file} {said}")
    assert heard.lines[0].endswith("; it is trained again")


def test_a_claim_in_the_file_that_was_edited_is_noticed(run: TinyRun, tmp_path: Path) -> None:
    trained(Subject(run))
    file = kept(tmp_path)
    tensors, about = read_tensors(file)
    write_tensors(file, tensors, {**about, "accuracy": 0.5})
    with pytest.raises(UserError, match=r"^--extractor .* is not what was written: it was damaged or edited$"):
        load(file, run)


def test_a_file_of_somebody_gives_the_same_numbers(run: TinyRun, tmp_path: Path) -> None:
    rows = list(make("metric", "fd").measure(Subject(run, n=50)))
    file = kept(tmp_path).rename(tmp_path / "theirs.safetensors")
    assert list(make("metric", "fd", extractor=file).measure(Subject(run, n=50))) == rows
    assert not list((tmp_path / "cache" / "extractors").iterdir())


def test_files_that_are_no_extractors(run: TinyRun, tmp_path: Path) -> None:
    missing, text, codes = tmp_path / "missing", tmp_path / "text", tmp_path / "codes.safetensors"
    text.write_text("hello")
    write_tensors(codes, {"codes": torch.zeros(2)}, {})
    for file, said in ((missing, "cannot be read"), (text, "cannot be read"), (codes, "holds no feature extractor")):
        with pytest.raises(UserError, match=f"^--extractor {file} {said}"):
            load(file, run)


def test_an_extractor_for_other_images(run: TinyRun, tmp_path: Path) -> None:
    trained(Subject(run))
    run.model.spec = run.model.spec.model_copy(update={"shape": (3, 8, 8)})
    message = r"^--extractor .* is for images of shape \(1, 16, 16\); this run's are \(3, 8, 8\)$"
    with pytest.raises(UserError, match=message):
        load(kept(tmp_path), run)


@pytest.mark.parametrize("labels", [None, torch.zeros(120, dtype=torch.int64)])
def test_no_labels(run: TinyRun, labels: torch.Tensor | None) -> None:
    samples = run.samples("train")
    run._data["train"] = Samples(samples.spec, samples.x, labels)
    message = "^the training samples have no labels of two or more classes; give --extractor FILE$"
    with pytest.raises(UserError, match=message):
        trained(Subject(run))


def test_some_validation_samples_are_of_all_classes_where_they_are_in_their_order(run: TinyRun) -> None:
    """As those of a folder with a folder for each class are."""
    samples = run.samples("validation")
    assert samples.y is not None
    ordered = samples.take(samples.y.argsort().tolist())
    assert ordered.y is not None
    assert (ordered.y[:15] == 0).all()

    class Zero(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.eye(3)[torch.zeros(len(x), dtype=torch.int64)]

    assert 0 < extractor._accuracy(Zero(), ordered, run, 15) < 0.8
    assert extractor._accuracy(Zero(), ordered, run) == (ordered.y == 0).double().mean()


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 33, 17), (1, 1, 5), (3, 64, 64)])
def test_images_of_any_size(shape: tuple[int, ...]) -> None:
    assert body(shape)(torch.rand(2, *shape)).shape == (2, FEATURES)


def test_pixels_beyond_the_range_are_clipped_as_they_are_shown(run: TinyRun) -> None:
    network = trained(Subject(run)).network
    x = 3 * torch.rand(5, 1, 16, 16, generator=torch.Generator().manual_seed(0)) - 1
    assert torch.equal(network(x), network(x.clamp(0, 1)))


class Streamed:
    """Samples that are read one by one."""

    def __init__(self, x: torch.Tensor) -> None:
        self.x = x

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: int) -> torch.Tensor:
        return self.x[index]

    def fingerprint(self) -> str:
        return "streamed"


def test_samples_that_are_read_one_by_one_give_the_same_bits(run: TinyRun) -> None:
    expected, accuracy = train(run, Reporter(quiet=True))
    samples: Any = run.samples("train")
    run._data["train"] = Samples(samples.spec, Streamed(samples.x), samples.y)
    found, again = train(run, Reporter(quiet=True))
    assert accuracy == again
    for a, b in zip(expected.parameters(), found.parameters(), strict=True):
        assert torch.equal(a, b)


def test_planted_damage_raises_the_distance_with_its_strength(run: TinyRun, monkeypatch: pytest.MonkeyPatch) -> None:
    """On handwritten digits: noise, and digits that are missing; the floor is below all of it."""
    monkeypatch.setattr(extractor, "_STEPS", 200)
    digits = make("dataset", "digits")
    run.model.spec = digits.load("test").spec
    run._data = {split: digits.load(split) for split in ("train", "validation", "test")}
    subject = Subject(run)
    found = trained(subject)
    assert found.conditions["extractor_accuracy"] > 0.9
    reference, x = features(subject, found, "data"), run.samples("train").x
    assert isinstance(x, torch.Tensor)
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    labels = run.samples("train").y
    assert labels is not None
    floor, weak, strong = (frechet(found.network((x + std * noise).clamp(0, 1)), reference) for std in (0, 0.2, 0.5))
    missing = frechet(found.network(x[labels < 5]), reference)
    assert floor < weak / 2 < strong / 4
    assert missing > 2 * floor


def test_the_floor_is_what_training_images_have(run: TinyRun) -> None:
    subject = Subject(run, n=60)
    found = trained(subject)
    floor = list(frechet_distances("fd", subject, found))[-1]
    assert floor.name == f"fd[{found.name}]/floor"
    expected = frechet(features(subject, found, "floor"), features(subject, found, "data"))
    assert floor.value == pytest.approx(expected)
