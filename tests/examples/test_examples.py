"""The examples work as their texts say, built and installed as a stranger would."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


def run(*command: str, cwd: Path, **environment: str) -> str:
    return subprocess.run(
        command, check=True, cwd=cwd, env={**ENVIRONMENT, **environment}, text=True, stdout=subprocess.PIPE
    ).stdout


@pytest.mark.slow
def test_the_third_party_distribution(tmp_path: Path) -> None:
    """Its wheel is built, installed beside dimecli, listed, checked by its own test, trained and sampled."""
    source, site = EXAMPLES / "dime-hello", tmp_path / "site"
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "-o", str(tmp_path), str(source), cwd=tmp_path)
    wheel = next(tmp_path.glob("dime_hello-*.whl"))
    pip = (sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(site))
    run(*pip, str(wheel), cwd=tmp_path)

    def dime(*words: str) -> str:
        return run(sys.executable, "-m", "dimecli", *words, cwd=tmp_path, PYTHONPATH=str(site))

    rows = {(row["kind"], row["name"]): row for row in json.loads(dime("plugins", "--json"))}
    assert rows["objective", "hello"]["origin"] == "dime-hello 0.1.0"
    assert "--sparsity" in dime("train", "hello", "--help")
    trained = json.loads(dime("train", "hello", "--sparsity", "0.1", "--epochs", "3", "--json", "--quiet"))
    assert set(trained["terms"]) == {"reconstruction", "sparsity", "total"}
    sampled = json.loads(dime("sample", "--density", "gmm", "-n", "4", "--json", "--quiet"))
    assert all((tmp_path / file).exists() for file in sampled["files"])
    tests = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(source / "tests"))
    assert "1 passed" in run(*tests, cwd=tmp_path, PYTHONPATH=str(site))

    record = next(tmp_path.glob("runs/*/run.json"))
    assert json.loads(record.read_text())["plugins"]["objective"]["distribution"] == "dime-hello"
    gone = subprocess.run(
        [sys.executable, "-m", "dimecli", "sample"], cwd=tmp_path, env=ENVIRONMENT, text=True, stderr=subprocess.PIPE
    )
    assert gone.returncode == 2
    assert gone.stderr.count("\n") == 1
    assert "needs the objective 'hello' of dime-hello 0.1.0: pip install dime-hello" in gone.stderr


@pytest.mark.slow
def test_the_python_example(tmp_path: Path) -> None:
    printed = run(sys.executable, "-W", "error", str(EXAMPLES / "python_api.py"), cwd=tmp_path)
    assert "samples (16, 1, 8, 8)" in printed
    assert "longest 1.000" in printed
