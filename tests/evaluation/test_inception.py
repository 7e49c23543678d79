"""The Inception network: which weights are taken, and that a file with more than weights in it does nothing."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
import torch

from dimecli.errors import DimeError, UserError
from dimecli.evaluation import inception
from dimecli.evaluation.inception import NAME, URL, WEIGHTS, InceptionMetric, load
from dimecli.evaluation.subject import Subject
from dimecli.registry import make
from dimecli.run.files import file_hash
from dimecli.testing.runs import TinyRun, tiny_runs


@pytest.fixture
def tiny(tmp_path: Path) -> dict[str, TinyRun]:
    return dict(tiny_runs(tmp_path))


@pytest.fixture
def run(tiny: dict[str, TinyRun]) -> TinyRun:
    return tiny["deterministic codes of images"]


def pretend(file: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Makes the file's hash the one that is asked for."""
    monkeypatch.setattr(inception, "SHA256", file_hash(file)[:8])
    return file


@pytest.mark.parametrize("name", ["fid", "kid"])
def test_refusals(tiny: dict[str, TinyRun], name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    metric: InceptionMetric = make("metric", name)
    assert metric.refusal(tiny["deterministic codes of vectors"]) == "it is of images; this run is of vectors"
    run = tiny["deterministic codes of images"]
    assert metric.refusal(run) == (
        "the weights of Inception are missing; give --inception-weights FILE "
        "(weights-inception-2015-12-05-6726825d.pth) or --download"
    )
    monkeypatch.setattr(inception, "find_spec", lambda name: object())
    assert make("metric", name, download=True).refusal(run) is None
    assert make("metric", name, inception_weights="file").refusal(run) is None
    monkeypatch.setattr(inception, "find_spec", lambda name: None)
    assert make("metric", name, download=True).refusal(run) == (
        "torch-fidelity, which has the network, is not installed: pip install 'dimecli[inception]'"
    )
    run.model.spec = run.model.spec.model_copy(update={"shape": (4, 16, 16)})
    assert metric.refusal(run) == "Inception sees grey or RGB images; this run's have 4 channels"


def test_a_file_that_is_missing_or_another(run: TinyRun, tmp_path: Path) -> None:
    file = tmp_path / "weights.pth"
    with pytest.raises(UserError, match=f"^--inception-weights {file}: no such file; allowed: {WEIGHTS}$"):
        load(file, run)
    torch.save({"weight": torch.zeros(1)}, file)
    message = f": its SHA-256 begins with {file_hash(file)[:8]}; allowed: {WEIGHTS}, where it is 6726825d$"
    with pytest.raises(UserError, match=message):
        load(file, run)


class Crafted:
    """Runs a command when it is unpickled."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> Any:
        return os.system, (self.command,)


def test_a_crafted_file_is_refused_and_does_not_run(
    run: TinyRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, ran = tmp_path / "weights.pth", tmp_path / "ran"
    torch.save({"weight": Crafted(f"touch {ran}")}, file)
    torch.load(file, weights_only=False)
    assert ran.exists()  # it would
    ran.unlink()
    with pytest.raises(UserError, match="holds more than weights, or is damaged"):
        load(pretend(file, monkeypatch), run)
    assert not ran.exists()


@pytest.mark.parametrize("content", [{"weight": torch.zeros(1)}, torch.zeros(3), {"fc.weight": 1.0}])
def test_weights_of_another_network(
    run: TinyRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: object
) -> None:
    pytest.importorskip("torch_fidelity")
    file = tmp_path / "weights.pth"
    torch.save(content, file)
    before = torch.random.get_rng_state()
    with pytest.raises(UserError, match=r"^--inception-weights \S+ holds weights of another network$"):
        load(pretend(file, monkeypatch), run)
    assert torch.equal(before, torch.random.get_rng_state())


def test_downloads_go_to_the_cache_and_are_checked(
    run: TinyRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DIME_CACHE", str(tmp_path / "cache"))
    calls = []

    def download(url: str, file: str, hash_prefix: str, progress: bool) -> None:
        calls.append((url, hash_prefix))
        Path(file).write_text("something else")

    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    kept = tmp_path / "cache" / "inception" / WEIGHTS
    for _ in range(2):  # the second time it is there
        with pytest.raises(UserError, match=f"^--inception-weights {kept}: its SHA-256 begins"):
            make("metric", "fid", download=True).look(Subject(run))
    assert calls == [(URL, "6726825d")]


def test_a_download_that_fails(run: TinyRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIME_CACHE", str(tmp_path / "cache"))

    def download(*arguments: object, **options: object) -> None:
        raise URLError("no route")

    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    message = rf"^the download failed \(URLError: .*no route.*\); by hand: get {URL} and give --inception-weights$"
    with pytest.raises(DimeError, match=message):
        make("metric", "fid", download=True).look(Subject(run))
    assert not list((tmp_path / "cache" / "inception").iterdir())


@pytest.mark.slow
def test_the_network_is_that_of_the_libraries(run: TinyRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With random weights, offline: features as torchmetrics computes them, and the numbers of both metrics."""
    fidelity = pytest.importorskip("torch_fidelity.feature_extractor_inceptionv3")
    from torchmetrics.image.fid import NoTrainInceptionV3

    def offline(*arguments: object, **options: object) -> None:
        raise AssertionError("the network was asked for weights")

    monkeypatch.setattr(fidelity, "load_state_dict_from_url", offline)
    file = tmp_path / WEIGHTS
    made: list[Any] = []

    class Untrained(fidelity.FeatureExtractorInceptionV3):  # type: ignore[misc, name-defined]
        def load_state_dict(self, *arguments: object, **options: object) -> None:
            made.append(self.state_dict())

    empty = tmp_path / "empty.pth"
    torch.save({}, empty)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        Untrained("untrained", ["2048"], str(empty))
    torch.save(made[0], file)
    found = load(pretend(file, monkeypatch), run)
    x = torch.rand(3, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    pixels = (x * 255).round().byte().repeat(1, 3, 1, 1)
    theirs = NoTrainInceptionV3("theirs", ["2048"], str(file), antialias=False)(pixels)
    torch.testing.assert_close(found.network(x), theirs)
    assert found.name == NAME
    assert found.conditions == {"resize": "bilinear to 299, no antialiasing", "grey": "repeated to RGB"}
    for name in ("fid", "kid"):
        metric = make("metric", name, inception_weights=file)
        rows = list(metric.measure(Subject(run, n=4)))
        assert [row.name for row in rows] == [
            f"{name}[inception-2015-12-05]/{part}" for part in ("samples", "reconstruction", "interpolation", "floor")
        ]
        assert all(found.conditions.items() <= row.conditions.items() for row in rows)
