"""`dime reconstruct` for images, vectors and sentences."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dimecli.run.reconstruct import Exact

Dime = Callable[..., Any]
RunRecord = Callable[..., dict[str, Any]]


def test_images(dime: Dime) -> None:
    assert dime("train", "ae", "--epochs", "1", "--widths", "8", "--quiet").code == 0
    ran = dime("reconstruct", "-n", "40")
    assert ran.code == 0, ran.err
    assert ran.out == ""
    assert "40 test samples of " in ran.err
    assert ": squared error " in ran.err
    found = dime("reconstruct", "--split", "validation", "--json", "--quiet")
    assert set(found.json) == {"run", "split", "n", "squared_error", "decode", "files"}
    assert (found.json["split"], found.json["n"], found.err) == ("validation", 144, "")
    assert found.json["squared_error"] > 0
    (picture,) = found.json["files"]
    assert Path(picture).name == "reconstruction-validation.png"
    assert Path(picture).read_bytes()[:4] == b"\x89PNG"


def test_vectors(dime: Dime) -> None:
    words = "train ae --dataset gaussian-mixture --max-steps 2 --widths 8 --quiet"
    assert dime(*words.split()).code == 0
    ran = dime("reconstruct", "-n", "10", "--json")
    assert set(ran.json) == {"run", "split", "n", "squared_error", "decode", "files"}
    assert Path(ran.json["files"][0]).read_bytes()[:4] == b"\x89PNG"


def test_images_that_are_made_pixel_by_pixel_are_draws(dime: Dime) -> None:
    words = "train vae --dataset digits --likelihood bernoulli --network pixelcnn --channels 2 --layers 2 --max-steps 2"
    assert dime(*words.split(), "--quiet").code == 0
    ran = dime("reconstruct", "-n", "3", "--json")
    assert ran.json["decode"] == "sample"
    assert " a sample (of draws, as the decoder makes images pixel by pixel); wrote " in ran.err


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_record: RunRecord) -> list[tuple[Any, ...]]:
    """A run of sentences that records what it was asked for."""
    import dimecli.api

    folder = tmp_path / "runs" / "run-0"
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps(run_record()))
    calls: list[tuple[Any, ...]] = []

    def load_run(path: Path, *, device: str) -> Any:
        return SimpleNamespace(
            path=path, device=device, model=SimpleNamespace(spec=SimpleNamespace(modality="sentence"))
        )

    def reconstruct(run: Any, split: str, n: int | None, seed: int) -> Any:
        calls.append((run.path.name, run.device, split, n, seed))
        return SimpleNamespace(originals=[0] * 5)

    wrong = [("x+1", "x*1"), ("sin(x)", None), ("a\x1b", "a")]
    exact = Exact(exact=0.4, symbols=0.75, by_length={2: (1, 1.0), 4: (4, 0.25)}, wrong=wrong)
    monkeypatch.setattr(dimecli.api, "load_run", load_run)
    monkeypatch.setattr(dimecli.api, "reconstruct", reconstruct)
    monkeypatch.setattr("dimecli.run.reconstruct.exact_match", lambda run, found: exact)
    return calls


def test_sentences(dime: Dime, asked: list[Any]) -> None:
    ran = dime("reconstruct", "--split", "train", "-n", "5", "--seed", "3", "--device", "cpu")
    assert asked == [("run-0", "cpu", "train", 5, 3)]
    assert ran.out.splitlines() == [
        "productions  sentences  exact",
        "2            1          100.0%",
        "4            4          25.0%",
        "x+1  ->  x*1",
        "sin(x)  ->  (incomplete)",
        "a\\x1b  ->  a",
    ]
    assert "5 train samples of run-0: 40.00% exact, 75.00% of the symbols in their place\n" in ran.err
    assert f"Next: dime sample {Path('runs/run-0')}\n" in ran.err
    assert dime("reconstruct", "--quiet") == (0, "", "")


def test_many_lengths_are_shown_in_groups(dime: Dime, asked: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    by_length = {length: (1, float(length < 4)) for length in range(1, 42)}
    exact = Exact(exact=0.1, symbols=0.5, by_length=by_length, wrong=[])
    monkeypatch.setattr("dimecli.run.reconstruct.exact_match", lambda run, found: exact)
    rows = [line.split() for line in dime("reconstruct").out.splitlines()]
    assert rows[1:3] == [["1-3", "3", "100.0%"], ["4-6", "3", "0.0%"]]
    assert (len(rows), rows[-1]) == (15, ["40-41", "2", "0.0%"])
    assert len(dime("reconstruct", "--json").json["lengths"]) == 41


def test_sentences_as_json(dime: Dime, asked: list[Any]) -> None:
    assert dime("reconstruct", "--json").json == {
        "run": "run-0",
        "split": "test",
        "n": 5,
        "exact": 0.4,
        "symbols": 0.75,
        "lengths": [{"length": 2, "n": 1, "exact": 1.0}, {"length": 4, "n": 4, "exact": 0.25}],
        "wrong": [
            {"original": "x+1", "reconstruction": "x*1"},
            {"original": "sin(x)", "reconstruction": None},
            {"original": "a\x1b", "reconstruction": "a"},
        ],
    }


def test_a_file_gives_options_and_a_dry_run_does_nothing(dime: Dime, asked: list[Any], tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text("[reconstruct]\ncount = 7\n")
    assert dime("reconstruct", "--config", "x.toml", "--dry-run").json["reconstruct"]["count"] == 7
    assert not asked


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("-n 0", "--count: should be greater than or equal to 1, got '0'"),
        ("--split all", "--split: should be 'train', 'validation' or 'test', got 'all'"),
        ("run-9", "no run 'run-9' in runs. Did you mean 'run-0'?"),
    ],
)
def test_mistakes(dime: Dime, asked: list[Any], words: str, says: str) -> None:
    ran = dime("reconstruct", *words.split())
    assert ran.code == 2
    assert says in ran.err
    assert not asked
