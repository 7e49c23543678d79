"""Plugins in loose files: loaded, named, told apart, sent to other processes."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dimecli.errors import PluginError, UserError
from dimecli.loose import plugin_name
from dimecli.registry import add_file, drop_files, entry_of, find, make, names

SOURCE = '''
from __future__ import annotations

from pydantic import Field

from dimecli.plugin import Loss, Objective, Problem


class _Base(Objective):
    """Shared."""

    weight: float = Field(0.5, ge=0, description="Weight.")


class SparseCodes(_Base):
    """Few entries."""

    def loss(self, model, x, rng):
        return Loss()


class Vowels(Problem):
    """Counts vowels."""

    letters: str = Field("aeiou", description="Which.")

    def evaluate(self, sentences, language):
        return [sum(letter in self.letters for letter in sentence) for sentence in sentences]
'''


@pytest.fixture(autouse=True)
def _nothing_is_left() -> Iterator[None]:
    yield
    drop_files()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(SOURCE)
    return path


@pytest.mark.parametrize(
    ("cls", "name"),
    [("Hello", "hello"), ("SparseCodes", "sparse-codes"), ("AMIM", "amim"), ("RAEGP", "raegp"), ("MyVAE2", "my-vae2"),
     ("VAEPlanar", "vae-planar"), ("X", "x")],
)  # fmt: skip
def test_the_class_gives_the_name(cls: str, name: str) -> None:
    assert plugin_name(cls) == name


def test_a_file_registers_what_it_defines_and_no_more(file: Path) -> None:
    before = names("objective")
    assert [(entry.kind, entry.name) for entry in add_file(file)] == [
        ("objective", "sparse-codes"),
        ("problem", "vowels"),
    ]
    assert names("objective") == sorted([*before, "sparse-codes"])
    entry = find("objective", "sparse-codes")
    assert entry.plugin.summary() == "Few entries."
    assert entry.origin.startswith("mine.py (sha256 ")
    assert str(entry).startswith(f"objective 'sparse-codes' of {entry.origin} (SparseCodes)")
    assert entry.record == {"file": str(file), "sha256": entry.version, "class": "SparseCodes", "api": 1}
    drop_files()
    assert names("objective") == before


def test_a_plugin_of_a_file_is_made_and_known(file: Path) -> None:
    add_file(file)
    plugin = make("objective", "sparse-codes", weight=2.0)
    assert entry_of(plugin).name == "sparse-codes"
    with pytest.raises(UserError, match=r"objective 'sparse-codes': weight: should be greater"):
        make("objective", "sparse-codes", weight=-1)


def test_a_changed_file_takes_the_place_of_what_it_was(file: Path) -> None:
    (old,) = [entry for entry in add_file(file) if entry.kind == "problem"]
    file.write_text(SOURCE.replace("aeiou", "y"))
    (new,) = [entry for entry in add_file(file) if entry.kind == "problem"]
    assert old.version != new.version
    assert make("problem", "vowels").evaluate(["yay"], None) == [2]


def test_a_problem_of_a_file_is_sent_to_another_process(file: Path) -> None:
    add_file(file)
    sent = pickle.dumps(make("problem", "vowels", letters="xy"))
    program = f"import pickle; print(pickle.loads({sent!r}).evaluate(['xyz', 'a'], None))"
    printed = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
    assert printed == "[2, 0]\n"
    file.write_text(SOURCE + "\n")
    with pytest.raises(UserError, match=r"mine.py: it was changed while it was in use"):
        pickle.loads(sent)


def test_a_name_that_is_taken_says_whose_it_is(file: Path) -> None:
    file.write_text(SOURCE.replace("SparseCodes", "Dime"))
    add_file(file)
    with pytest.raises(
        PluginError, match=r"'dime' is claimed by dimecli .* and mine.py .*; leave out --plugin, or give the"
    ):
        find("objective", "dime")
    assert find("problem", "vowels")


@pytest.mark.parametrize(
    ("source", "error", "says"),
    [
        ("x = 1\n", UserError, "it defines no plugin: a class whose base is one of Objective, Network"),
        ("from dimecli.plugin import Objective\n", UserError, "it defines no plugin"),
        ("\n\n1 / 0\n", PluginError, "failed to import: ZeroDivisionError: division by zero (line 3)"),
        ("import not_there\n", PluginError, "ModuleNotFoundError: No module named 'not_there' (line 1)"),
        ("\nif:\n", PluginError, "SyntaxError: invalid syntax (line 2)"),
        ("raise SystemExit(4)\n", PluginError, "SystemExit: 4 (line 1)"),
        ("def f():\n    raise KeyError('k')\nf()\n", PluginError, "KeyError: 'k' (line 2)"),
    ],
)
def test_a_file_that_is_wrong_says_why(file: Path, source: str, error: type[Exception], says: str) -> None:
    file.write_text(source)
    with pytest.raises(error) as caught:
        add_file(file)
    assert says in str(caught.value)
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_or_no_python(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"gone.py: No such file or directory"):
        add_file(tmp_path / "gone.py")
    with pytest.raises(UserError, match=r"mine.txt: should be a Python file, named \*.py"):
        add_file(tmp_path / "mine.txt")
