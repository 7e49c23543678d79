"""`fd` from the command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dimecli.evaluation import extractor

Dime = Callable[..., Any]


def test_of_images(dime: Dime, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(extractor, "_STEPS", 100)
    monkeypatch.setenv("DIME_CACHE", str(tmp_path / "cache"))  # what other tests trained is none of these steps
    assert dime("train", "--epochs", "1", "--quiet").code == 0
    first = dime("evaluate", "--metric", "fd,kd", "-n", "300", "--json")
    assert first.code == 0
    assert "Note: trained a classifier of digits once" in first.err
    names = [row["metric"] for row in first.json["metrics"]]
    metric = names[0].partition("[")[2].partition("]")[0]
    assert metric.startswith("cnn-digits:")
    parts = ("samples", "reconstruction", "interpolation", "floor")
    assert names == [f"{name}[{metric}]/{part}" for name in ("fd", "kd") for part in parts]
    assert {row["conditions"]["extractor_accuracy"] > 0.5 for row in first.json["metrics"]} == {True}
    values = dict(zip(names, (row["value"] for row in first.json["metrics"]), strict=True))
    assert all(values[f"fd[{metric}]/{part}"] > values[f"fd[{metric}]/floor"] for part in parts[:3])
    again = dime("evaluate", "--metric", "fd,kd", "-n", "300", "--json")
    assert again.json == first.json
    assert "Note" not in again.err


def test_of_vectors(dime: Dime) -> None:
    assert dime("train", "--dataset", "gaussian-mixture", "--epochs", "1", "--quiet").code == 0
    found = dime("evaluate", "--metric", "fd", "-n", "200")
    assert found.code == 0
    assert "fd[values]/samples" in found.out
    refused = dime("evaluate", "--metric", "fd", "--extractor", "x.safetensors")
    assert refused.code == 2
    assert "fd: --extractor x.safetensors: this run is of vectors, whose values are the features" in refused.err


def test_a_file_that_is_not_there(dime: Dime) -> None:
    assert dime("train", "--epochs", "1", "--quiet").code == 0
    refused = dime("evaluate", "--metric", "fd", "--extractor", "none.safetensors")
    assert refused.code == 2
    assert "fd: --extractor none.safetensors cannot be read" in refused.err
