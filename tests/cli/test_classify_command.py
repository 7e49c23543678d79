"""`dime classify` from the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Dime = Callable[..., Any]
RunRecord = Callable[..., dict[str, Any]]


@pytest.fixture
def run(dime: Dime) -> Path:
    """A run of the bundled digits, trained for a moment."""
    name: str = dime("train", "ae", "--epochs", "1", "--widths", "8", "--quiet", "--json").json["run"]
    return Path("runs") / name


def test_a_person_reads_the_number_with_its_conditions_and_what_to_do_next(dime: Dime, run: Path) -> None:
    ran = dime("classify", "--repeats", "2")
    assert ran.code == 0, ran.err
    head, row, remark, conditions = ran.out.splitlines()
    assert head.split() == ["metric", "value", "unit", "conditions"]
    assert row.startswith("accuracy[linear]  0.")
    assert remark.startswith("  chance (the most frequent class) 0.")
    assert conditions == "all: split test, classifier linear, n 359, standardize true, repeats 1"
    assert ran.err.splitlines() == [
        "Note: linear draws nothing: it is fitted once",
        f"Wrote {run}/classifiers/linear.safetensors, {run}/metrics.jsonl",
        f"Next, to compare: dime classify {run} --classifier knn",
    ]
    assert (run / "classifiers" / "linear.safetensors").exists()


def test_a_program_reads_json(dime: Dime, run: Path) -> None:
    words = "classify --classifier mlp --widths 4 --steps 10 --repeats 2 --json --quiet"
    ran = dime(*words.split())
    assert set(ran.json) == {"run", "classifier", "accuracy", "std", "repeats", "split", "chance"}
    assert (ran.json["run"], ran.json["classifier"], ran.json["repeats"]) == (run.name, "mlp", 2)
    assert (ran.json["split"], ran.err) == ("test", "")
    assert 0 < ran.json["accuracy"] < 1
    assert ran.json["std"] >= 0
    assert dime(*words.split()).json == ran.json
    (line, *_) = (run / "metrics.jsonl").read_text().splitlines()
    assert json.loads(line)["value"] == ran.json["accuracy"]
    assert dime("classify", "--quiet") == (0, "", "")


@pytest.fixture
def finished(tmp_path: Path, run_record: RunRecord) -> None:
    """A run that is only a record: enough for what is told before any work."""
    folder = tmp_path / "runs" / "run-0"
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps(run_record()))


@pytest.mark.usefixtures("finished")
def test_a_preset_a_file_and_words_override_each_other_in_this_order(dime: Dime, tmp_path: Path) -> None:
    preset = ("classify", "--classifier", "mlp", "--preset", "dime-code", "--dry-run")
    plain = dime(*preset).json
    assert plain["classifier"] == {
        "name": "mlp",
        "widths": [0, 0],
        "dropout": 0.5,
        "steps": 10_000,
        "batch_size": 250,
        "lr": 1e-3,
    }
    (tmp_path / "x.toml").write_text("[classifier]\nname = 'mlp'\ndropout = 0.25\nsteps = 9\n[classify]\nrepeats = 3\n")
    found = dime(*preset, "--config", "x.toml", "--steps", "7", "--no-standardize").json
    assert (found["classifier"]["widths"], found["classifier"]["dropout"]) == ([0, 0], 0.25)
    assert (found["classifier"]["steps"], found["classify"]["repeats"]) == (7, 3)
    assert found["classify"]["standardize"] is False
    assert dime("classify", "--config", "x.toml", "--widths", "", "--dry-run").json["classifier"]["widths"] == []


@pytest.mark.usefixtures("finished")
@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("--repeats 0", "--repeats: should be greater than or equal to 1, got '0'"),
        ("--classifier lineal", "no classifier named 'lineal'. Did you mean 'linear'? Known: knn, linear, mlp."),
        ("--c 0", "--c: should be greater than 0, got '0'"),
        ("--neighbors 3", "It is an option of classifier 'knn': add --classifier knn."),
        ("--classifier mlp --widths 4,-1", "--widths: should be greater than or equal to 0, got '4,-1'"),
        ("--preset dime-code", "--preset: classifier 'linear' has no 'dime-code'. Known: none."),
        ("--classifier mlp --preset dim-code", "has no 'dim-code'. Did you mean 'dime-code'? Known: dime-code."),
        ("run-9", "no run 'run-9' in runs. Did you mean 'run-0'?"),
    ],
)
def test_mistakes(dime: Dime, words: str, says: str) -> None:
    ran = dime("classify", *words.split())
    assert ran.code == 2
    assert says in ran.err
