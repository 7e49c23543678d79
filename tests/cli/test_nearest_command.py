"""`dime nearest` for images, vectors and sentences."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Dime = Callable[..., Any]
KEYS = ["run", "density", "n", "neighbours", "files", "nearest"]


@pytest.fixture
def images(dime: Dime) -> str:
    """The folder of a run of images."""
    run: str = dime(*["train", "ae", "--max-steps", "2", "--widths", "8", "--json"]).json["run"]
    return str(Path("runs") / run)


def test_images(dime: Dime, images: str) -> None:
    ran = dime("nearest", "--density", "gaussian", "-n", "3", "--neighbours", "2", "--json")
    assert ran.code == 0, ran.err
    shown = ran.json
    assert list(shown) == KEYS
    assert (shown["density"], shown["n"], shown["neighbours"]) == ("gaussian", 3, 2)
    assert shown["files"] == [str(Path(images) / "figures" / "nearest-gaussian.png")]
    assert Path(shown["files"][0]).read_bytes()[:4] == b"\x89PNG"
    assert [len(found["neighbours"]) for found in shown["nearest"]] == [2, 2, 2]
    distances = [one["distance"] for found in shown["nearest"] for one in found["neighbours"]]
    assert min(distances) > 0
    nearest = sorted(found["neighbours"][0]["distance"] for found in shown["nearest"])
    assert f"{nearest[0]:.4g} to {nearest[-1]:.4g} from the nearest training sample; wrote {images}" in ran.err
    assert f"Next, to measure these samples: dime evaluate {images} --density gaussian" in ran.err
    again = dime("nearest", "--density", "gaussian", "-n", "3", "--neighbours", "2", "--json", "--quiet")
    assert (again.json, again.err) == (shown, "")
    other = dime("nearest", "--density", "gaussian", "-n", "3", "--neighbours", "2", "--json", "--seed", "1")
    assert other.json["nearest"] != shown["nearest"]


def test_vectors(dime: Dime) -> None:
    assert (
        dime(*["train", "ae", "--dataset", "gaussian-mixture", "--max-steps", "2", "--widths", "8", "--quiet"]).code
        == 0
    )
    ran = dime("nearest")
    assert ran.code == 0, ran.err
    assert ran.out == ""
    assert f"{Path('figures/nearest-gmm.png')}\n" in ran.err


def test_sentences(dime: Dime) -> None:
    words = "train ae --grammar expressions --size 100 --max-steps 2 --quiet"
    assert dime(*words.split()).code == 0
    shown = dime("nearest", "-n", "2", "--neighbours", "3", "--json").json
    assert list(shown) == KEYS
    assert shown["files"] == []
    rows = []
    for found in shown["nearest"]:
        assert list(found) == ["sentence", "neighbours"]
        assert [list(one) for one in found["neighbours"]] == [["index", "distance", "sentence"]] * 3
        assert sorted(found["neighbours"], key=lambda one: one["distance"]) == found["neighbours"]
        first, *others = [(f"{one['distance']:.0f}", one["sentence"]) for one in found["neighbours"]]
        rows += [[found["sentence"], *first], *map(list, others)]
    ran = dime("nearest", "-n", "2", "--neighbours", "3")
    assert [line.split() for line in ran.out.splitlines()] == [
        ["sample", "edits", "nearest", "training", "sentences"],
        *rows,
    ]
    assert " edits from the nearest training sample\n" in ran.err


def test_a_file_gives_options_and_a_dry_run_does_nothing(dime: Dime, images: str) -> None:
    Path("x.toml").write_text("[density]\nname = 'gaussian'\n[nearest]\ncount = 7\n")
    ran = dime("nearest", "--config", "x.toml", "--neighbours", "2", "--dry-run")
    assert ran.json["nearest"] == {"count": 7, "neighbours": 2, "seed": 0, "device": "auto", "threads": None}
    assert ran.json["density"]["name"] == "gaussian"
    assert ran.err == f"Would draw from {images}, and search its training samples\n"
    assert not (Path(images) / "figures").exists()
    Path("dry.json").write_text(ran.out)
    assert dime("nearest", "--config", "dry.json", "--dry-run").json == ran.json


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("-n 0", "--count: should be greater than or equal to 1, got '0'"),
        ("--neighbours 0", "--neighbours: should be greater than or equal to 1, got '0'"),
        ("--density gaussan", "no density named 'gaussan'. Did you mean 'gaussian'?"),
        ("run-9", "no run 'run-9' in runs."),
        ("--density gaussian --neighbours 9999", "--neighbours 9999: should be at most the number of training samples"),
    ],
)
def test_mistakes(dime: Dime, images: str, words: str, says: str) -> None:
    ran = dime("nearest", *words.split())
    assert (ran.code, ran.out) == (2, "")
    assert says in ran.err
