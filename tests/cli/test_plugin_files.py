"""`--plugin FILE` on every command, and `[plugins] files` in TOML."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Dime = Callable[..., Any]

MINE = '''
from pydantic import Field

from dimecli.plugin import Language, Loss, Objective, Problem


class SparseCodes(Objective):
    """Few entries."""

    weight: float = Field(0.5, ge=0, description="Weight of the L1 norm.")

    def loss(self, model, x, rng):
        z = model.encode(x)
        return Loss(reconstruction=self.reconstruction(model, x, z), sparsity=self.weight * z.abs().sum(1).mean())


class Words(Language):
    """Words of three letters."""

    problem = "vowels"

    def text(self):
        return "%start S\\n%max_len 4\\nS -> L L L\\nL -> 'a' | 'b' | 'c' | 'e'"


class Vowels(Problem):
    """Counts vowels."""

    def evaluate(self, sentences, language):
        return [float(sum(letter in "aeiou" for letter in sentence)) for sentence in sentences]
'''


@pytest.fixture(autouse=True)
def _file(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(MINE)


@pytest.mark.parametrize("flag", [("--plugin", "mine.py"), ("--plugin=mine.py",)])
def test_the_flag_may_stand_anywhere(dime: Dime, flag: tuple[str, ...]) -> None:
    words = ("train", "sparse-codes", "--weight", "0.25", "--dry-run")
    for number in (0, 1, 2, len(words)):
        ran = dime(*words[:number], *flag, *words[number:])
        assert ran.code == 0, ran.err
        assert ran.json["objective"]["weight"] == 0.25


def test_a_run_with_it_is_trained_recorded_and_used_again(dime: Dime, tmp_path: Path) -> None:
    trained = dime("train", "sparse-codes", "--plugin", "mine.py", "--epochs", "1", "--json", "--quiet")
    assert trained.code == 0, trained.err
    record = next(tmp_path.glob("runs/*/run.json")).read_text()
    assert '"sha256"' in record
    assert '"class": "SparseCodes"' in record
    sampled = dime("sample", "-n", "2", "--plugin", "mine.py")
    assert sampled.code == 0
    (proposed,) = [line for line in sampled.err.splitlines() if line.startswith("Next, to compare: dime ")]
    words = shlex.split(proposed.removeprefix("Next, to compare: dime ").partition(";")[0])
    assert dime(*words, "-n", "2").code == 0, "what is proposed knows the file, too"
    without = dime("sample", "-n", "2")
    assert without.code == 2
    assert without.err.count("\n") == 1
    assert f"--plugin {tmp_path / 'mine.py'}" in without.err


def test_plugins_are_listed_shown_and_help_has_their_options(dime: Dime) -> None:
    assert "objective sparse-codes mine.py (sha256 " in dime("plugins", "--plugin", "mine.py").flat
    assert "--weight" in dime("plugins", "show", "sparse-codes", "--plugin", "mine.py").out
    assert "--weight" in dime("train", "sparse-codes", "--help", "--plugin", "mine.py").flat
    assert "--plugin" in dime("--help").flat
    assert "--plugin" in dime("sample", "--help").flat
    assert "No such option" not in dime("grammar", "show", "words", "--plugin", "mine.py").err


def test_it_is_there_for_one_line_only(dime: Dime) -> None:
    assert dime("train", "sparse-codes", "--plugin", "mine.py", "--dry-run").code == 0
    again = dime("train", "sparse-codes", "--dry-run")
    assert again.code == 2
    assert "no objective named 'sparse-codes'" in again.err


def test_a_toml_file_names_files_beside_it(dime: Dime, tmp_path: Path) -> None:
    folder = tmp_path / "experiment"
    folder.mkdir()
    (tmp_path / "mine.py").rename(folder / "mine.py")
    (folder / "e.toml").write_text('[plugins]\nfiles = ["mine.py"]\n[objective]\nname = "sparse-codes"\nweight = 2\n')
    for words in (("--config", "experiment/e.toml"), ("--config=experiment/e.toml",)):
        ran = dime("train", *words, "--dry-run")
        assert ran.code == 0, ran.err
        assert ran.json["objective"] | {"latent_size": 0} == {
            "name": "sparse-codes",
            "weight": 2.0,
            "latent_size": 0,
            "reduction": "sum",
        }


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ('files = "mine.py"', "[plugins] of e.toml: only 'files', a list of Python files, goes there"),
        ('file = ["mine.py"]', "[plugins] of e.toml: only 'files', a list of Python files, goes there"),
        ('files = ["gone.py"]', "[plugins] of e.toml: there is no file gone.py"),
    ],
)
def test_a_wrong_table_is_a_mistake_in_one_line(dime: Dime, tmp_path: Path, table: str, says: str) -> None:
    (tmp_path / "e.toml").write_text(f"[plugins]\n{table}\n")
    ran = dime("train", "--config", "e.toml", "--dry-run")
    assert ran.code == 2
    assert ran.err.count("\n") == 1
    assert says in ran.err


def test_a_record_of_a_run_never_names_files_to_execute(dime: Dime, tmp_path: Path) -> None:
    (tmp_path / "evil.py").write_text("open('executed', 'w')\n")
    (tmp_path / "run.json").write_text('{"config": {"plugins": {"files": ["evil.py"]}}}')
    dime("train", "--config", "run.json", "--dry-run")
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("words", [("--plugin",), ("--plugin", "--dry-run"), ("--plugin=",)])
def test_a_missing_value(dime: Dime, words: tuple[str, ...]) -> None:
    ran = dime("train", *words)
    assert ran.code == 2
    assert "--plugin: its value is missing" in ran.err


def test_a_file_that_raises_ends_the_line_with_its_number(dime: Dime, tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text("\n1 / 0\n")
    ran = dime("train", "--plugin", "bad.py", "--dry-run")
    assert ran.code == 1
    assert ran.err.strip().endswith("bad.py failed to import: ZeroDivisionError: division by zero (line 2)")


@pytest.mark.slow
def test_a_search_calls_it_in_other_processes(dime: Dime) -> None:
    """The grammar, its problem and the objective come from one file; the oracle runs where only the file is known."""
    trained = dime("train", "sparse-codes", "--grammar", "words", "--plugin", "mine.py", "--epochs", "1", "--quiet")
    assert trained.code == 0, trained.err
    ran = dime(
        *("bo", "--grammar", "words", "--plugin", "mine.py", "--executor", "processes", "--workers", "1"),
        *("--rounds", "1", "--batch", "3", "--initial", "5", "--json", "--quiet"),
    )
    assert ran.code == 0, ran.err
    assert ran.json["problem"] == "vowels"
    assert ran.json["valid"] == 1.0


def test_a_record_whose_file_is_not_given_says_which_to_give(dime: Dime) -> None:
    dime("train", "--plugin", "mine.py", "sparse-codes", "--epochs", "1")
    (record,) = map(str, Path("runs").glob("*/run.json"))
    ran = dime("train", "--config", record, "--dry-run")
    assert ran.code == 2
    assert f"--config {record} needs the objective 'sparse-codes' of the file" in ran.err
    assert "mine.py: give --plugin" in ran.err
    assert dime("train", "--config", record, "--plugin", "mine.py", "--dry-run").json["objective"]["weight"] == 0.5


WRONG = """
from dimecli.data.likelihood import Gaussian
from dimecli.lazy import nn, torch
from dimecli.plugin import Dataset, Loss, Measured, Metric, Network, Objective, Samples, Spec


class Bare(Objective):
    def loss(self, model, x, rng):
        return self.reconstruction(model, x, model.encode(x))


class Unsummed(Objective):
    def loss(self, model, x, rng):
        return Loss(reconstruction=model.nll(x, model.encode(x)))


class Below(Objective):
    weight: float = Field(-1.0, ge=0, description="Weight.")

    def loss(self, model, x, rng):
        return Loss(reconstruction=self.reconstruction(model, x, model.encode(x)))


class Learning(Objective):
    def loss(self, model, x, rng):
        self.seen = len(x)


class Table(Dataset):
    def read(self, split):
        return [[1.0, 2.0], [3.0, 4.0]]


class Wide(Dataset):
    def read(self, split):
        return Samples(Spec(modality="vector", shape=(2,), likelihood=Gaussian()), torch.zeros(20, 3))


class Double(Dataset):
    def read(self, split):
        return Samples(Spec(modality="vector", shape=(2,), likelihood=Gaussian()), torch.zeros(20, 2).double())


class Square(Network):
    def encoder(self, spec, features):
        return nn.Linear(spec.elements, features)

    def decoder(self, spec, latent_size):
        return nn.Linear(latent_size, spec.elements)
"""


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("bare", "(Bare): loss gives Tensor; return Loss(reconstruction=..., ...)"),
        ("unsummed", "(Unsummed): loss gives term 'reconstruction' of shape (100,); return scalars, such as means"),
        ("below", "objective 'below': the default of option 'weight' should be greater than or equal to 0, got -1.0"),
        ("learning", "Learning is frozen, 'seen' cannot be set; keep what is learned in the object that is returned"),
        ("ae --dataset table", "(Table): read gives list; return Samples(spec, x, y)"),
        ("ae --dataset wide", "(Wide): read gives samples of shape (3,), their spec says (2,); make them agree"),
        ("ae --dataset double", "(Double): read gives torch.float64; give pixels as uint8, symbols as int16"),
    ],
)
def test_what_a_plugin_must_not_return_is_told_in_one_line(dime: Dime, tmp_path: Path, words: str, says: str) -> None:
    (tmp_path / "wrong.py").write_text(f"from pydantic import Field\n{WRONG}")
    ran = dime("train", *words.split(), "--plugin", "wrong.py", "--epochs", "1")
    assert ran.code == 1
    assert says in ran.err


def test_an_error_outside_of_the_plugins_in_use_says_which_these_are(dime: Dime, tmp_path: Path) -> None:
    (tmp_path / "wrong.py").write_text(f"from pydantic import Field\n{WRONG}")
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied") as raised:
        dime("train", "ae", "--network", "square", "--plugin", "wrong.py", "--epochs", "1")
    (note,) = raised.value.__notes__
    assert re.fullmatch(r"Plugins of wrong.py \(sha256 \w+\) were in use; 'dime plugins check' tries what .*", note)
