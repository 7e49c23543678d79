"""`dime interpolate`, `dime traverse` and `dime embed`, from the command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dimecli.api import train
from dimecli.registry import make

Dime = Callable[..., Any]

SIGNATURE = b"\x89PNG"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of three tiny runs: images with codes in the plane, vectors on the sphere, sentences."""
    runs = tmp_path_factory.mktemp("runs")
    network = make("network", "mlp", widths=(8,))
    sentences = make("dataset", "sentences", grammar="expressions", size=60)
    for name, objective, dataset, of in (
        ("images", make("objective", "vae", latent_size=2), "digits", network),
        ("vectors", "dime", "gaussian-mixture", network),
        ("sentences", "dime", sentences, None),
    ):
        train(objective, dataset, of, runs=runs, epochs=1).path.rename(runs / name)
    return runs


@pytest.fixture
def on(dime: Dime, folder: Path) -> Dime:
    """Runs a command on the run of that name."""
    return lambda command, run, *words: dime(command, run, "--runs", str(folder), *words)


@pytest.mark.parametrize("run", ["images", "vectors"])
@pytest.mark.parametrize(
    ("command", "file", "said", "then"),
    [
        (
            "interpolate --path linear --pairs 2 --steps 3",
            "interpolation-linear-test.png",
            "linear interpolations between 2 pairs",
            "traverse",
        ),
        ("traverse --start 3 --dimensions 2", "traversal-test-3.png", "2 dimensions", "embed"),
        ("embed --method pca -n 50 --split train", "embedding-pca-train.png", "50 codes", "evaluate"),
    ],
)
def test_pictures(on: Dime, folder: Path, command: str, file: str, said: str, then: str, run: str) -> None:
    word, *options = command.split()
    ran = on(word, run, *options)
    assert (ran.code, ran.out) == (0, "")
    written = folder / run / "figures" / file
    assert f"Wrote {said} of {run}" in ran.err
    assert f": {written}\n" in ran.err
    assert f"Next: dime {then} {folder / run}\n" in ran.err
    assert written.read_bytes()[:4] == SIGNATURE


def test_json(on: Dime) -> None:
    found = on("interpolate", "images", "--pairs", "2", "--json").json
    assert {key: found[key] for key in found if key not in ("pairs", "files")} == {
        "run": "images",
        "split": "test",
        "path": "spherical",
    }
    assert [len(pair) for pair in found["pairs"]] == [2, 2]
    found = on("traverse", "images", "--steps", "3", "--json").json
    assert (found["start"], found["offsets"]) == (None, [-3, 0, 3])
    assert [set(row) for row in found["dimensions"]] == [{"dimension", "std"}] * 2
    assert found["dimensions"][0]["std"] >= found["dimensions"][1]["std"]
    found = on("embed", "images", "--json").json
    assert (found["method"], found["n"], found["axes"]) == ("codes", 359, ["z[0]", "z[1]"])


def test_sentences_are_printed(on: Dime, folder: Path) -> None:
    ran = on("interpolate", "sentences", "--pairs", "1", "--steps", "4")
    lines = ran.out.splitlines()
    assert [lines[0][:6], lines[1][:6], lines[-1][:6]] == ["data  ", "0.00  ", "data  "]
    assert (folder / "sentences" / "figures" / "interpolation-spherical-test.txt").read_text() == ran.out
    (pair,) = on("interpolate", "sentences", "--pairs", "1", "--steps", "4", "--json").json["sentences"]
    assert (f"data  {pair['start']}", f"data  {pair['end']}") == (lines[0], lines[-1])
    assert len(pair["decoded"]) == 4
    ran = on("traverse", "sentences", "--dimensions", "2")
    assert (folder / "sentences" / "figures" / "traversal-mean.txt").read_text() == ran.out
    rows = on("traverse", "sentences", "--dimensions", "2", "--json").json["dimensions"]
    assert [len(row["decoded"]) for row in rows] == [7, 7]
    assert [line for line in ran.out.splitlines() if line.startswith("z[")] == [
        line for row in rows for line in ran.out.splitlines() if line.startswith(f"z[{row['dimension']}], std ")
    ]
    assert on("embed", "sentences", "--method", "pca").code == 0


@pytest.mark.parametrize("command", ["interpolate", "traverse", "embed"])
def test_a_file_gives_options_and_a_dry_run_does_nothing(on: Dime, folder: Path, command: str, tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text(f"[{command}]\nsplit = 'validation'\n")
    ran = on(command, "vectors", "--config", "x.toml", "--dry-run")
    assert ran.json[command]["split"] == "validation"
    assert ran.err.startswith("Would ")
    assert not list((folder / "vectors").glob("figures/*validation*"))


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("interpolate images --pairs 0", "--pairs: should be greater than or equal to 1, got '0'"),
        ("interpolate images --path round", "--path: should be 'spherical' or 'linear', got 'round'"),
        ("interpolate images --split all", "--split: should be 'train', 'validation' or 'test', got 'all'"),
        ("interpolate sentences --pairs 80", "--pairs 80: should be at most 6, as the test split has 12 samples"),
        ("traverse images --start 99999", "--start 99999: should be a sample of the test split, from 0 to 358"),
        ("traverse images --span 0", "--span: should be greater than 0, got '0'"),
        (
            "embed vectors --method codes",
            "--method codes: the codes have 16 dimensions; it draws 2, or 3 on the sphere",
        ),
        ("embed vectors -n 1", "--method tsne: needs at least 4 codes, got 1"),
        ("embed vectors --method tsn", "--method: should be 'auto', 'codes', 'pca', 'tsne' or 'umap', got 'tsn'"),
    ],
)
def test_mistakes(on: Dime, line: str, says: str) -> None:
    command, run, *words = line.split()
    ran = on(command, run, *words)
    assert (ran.code, ran.out, ran.err) == (2, "", f"Error: {says}\n")


@pytest.mark.parametrize("line", ["interpolate images", "traverse images", "embed images", "reconstruct images"])
def test_what_is_written_is_shown_unless_json_is_wanted(on: Dime, line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[Path] = []
    command, run = line.split()
    module = "reconstruct" if command == "reconstruct" else "picture"
    monkeypatch.setattr(f"dimecli.cli.{module}.show", lambda path, reporter: shown.append(path))
    ran = on(command, run, "--json", "--quiet")
    (file,) = ran.json["files"]
    assert (ran.json["run"], ran.err, shown) == (run, "", [])
    assert on(command, run).code == 0
    assert shown == [Path(file)]
