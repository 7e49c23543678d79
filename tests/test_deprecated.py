"""Plugins and options that are there for a while only: who chooses one is told once, and nobody else."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import Field

from dimecli.errors import DeprecatedWarning
from dimecli.registry import make
from dimecli.settings import Settings, checked

Dime = Callable[..., Any]
Install = Callable[..., None]

OLD = '''
from pydantic import Field
from dimecli.plugin import Classifier, Density, Language, Loss, Metric, Objective

class Old(Objective):
    """Old."""

    deprecated = "objective 'new'"

    def loss(self, model, x, rng):
        return Loss(reconstruction=self.reconstruction(model, x, model.encode(x)))

class New(Objective):
    """New."""

    weight: float = Field(1.0, ge=0, description="Weight.")
    strength: float = Field(1.0, ge=0, description="Weight.", deprecated="use --weight")
    flag: bool = Field(False, description="Nothing.", deprecated=True)

    def loss(self, model, x, rng):
        scale = self.weight * self.strength
        return Loss(reconstruction=scale * self.reconstruction(model, x, model.encode(x)))

class OldMetric(Metric):
    """Old."""

    deprecated = "metric 'nll'"

    def measure(self, subject): ...

class OldWords(Language):
    """Old."""

    deprecated = "grammar 'boolean'"

    def text(self):
        return "S -> 'a' S | 'b'"
'''


@pytest.fixture(autouse=True)
def _old(install: Install) -> None:
    points = {
        "dimecli.objectives": "old = old_mod:Old\nnew = old_mod:New",
        "dimecli.metrics": "old = old_mod:OldMetric",
        "dimecli.grammars": "old-words = old_mod:OldWords",
    }
    install("dime-old", "0.1", points, old_mod=OLD)


TOLD = "Warning: objective 'old' is deprecated: use objective 'new'\n"


def test_who_chooses_a_deprecated_plugin_is_told_in_one_line(dime: Dime) -> None:
    ran = dime("train", "old", "--dry-run")
    assert ran.code == 0
    assert ran.err == TOLD
    Path("run.toml").write_text('[objective]\nname = "old"\n')
    assert dime("train", "--config", "run.toml", "--dry-run").err == TOLD


@pytest.mark.parametrize("words", [("--help",), ("new", "--dry-run"), ("old", "--dry-run", "--quiet")])
def test_nobody_else_is(dime: Dime, words: tuple[str, ...]) -> None:
    assert "is deprecated" not in dime("train", *words).err


def test_of_several_plugins_only_those_that_are_named_are_told(dime: Dime, run_record: Callable[..., Any]) -> None:
    folder = Path("runs/r")
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps(run_record()))
    told = "Warning: metric 'old' is deprecated: use metric 'nll'\n"
    assert told in dime("evaluate", "--metric", "old,nll", "--dry-run").err
    assert told not in dime("evaluate", "--dry-run").err


def test_a_grammar_is_told_once_however_often_it_is_looked_up(dime: Dime) -> None:
    told = "Warning: grammar 'old-words' is deprecated: use grammar 'boolean'\n"
    assert dime("train", "--grammar", "old-words", "--dry-run").err.count("is deprecated") == 1
    assert told in dime("grammar", "sample", "old-words", "-n", "1").err


def test_a_training_with_it_works_and_warns_of_nothing_else(dime: Dime) -> None:
    ran = dime("train", "old", "--epochs", "1", "--network", "mlp", "--widths", "4")
    assert ran.code == 0
    assert ran.err.count("is deprecated") == 1
    assert "is deprecated" not in dime("train", "new", "--epochs", "1", "--network", "mlp", "--widths", "4").err
    assert "is deprecated" not in dime("sample", "-n", "2", "--density", "gaussian").err


def test_in_python_it_is_a_future_warning() -> None:
    with pytest.warns(FutureWarning, match=r"^objective 'old' is deprecated: use objective 'new'$") as caught:
        make("objective", "old")
    assert len(caught) == 1


def test_the_list_of_plugins_says_so(dime: Dime) -> None:
    rows = {(row["kind"], row["name"]): row for row in dime("plugins", "--json").json}
    assert rows["objective", "old"]["summary"] == "Old. Deprecated: use objective 'new'."
    assert rows["objective", "new"]["summary"] == "New."


def test_help_and_show_say_what_to_give_in_place_of_an_option(dime: Dime) -> None:
    shown = dime("train", "new", "--help").flat
    assert "[deprecated: use --weight, >= 0, default: 1]" in shown
    assert "[deprecated: it will go, default: false]" in shown
    (plugin,) = dime("plugins", "show", "new", "--json").json
    described = {option["option"]: option["description"] for option in plugin["options"]}
    assert described["--strength"] == "Weight. Deprecated: use --weight."
    assert described["--weight"] == "Weight."


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--strength", "2"), "--strength is deprecated: use --weight"),
        (("--flag",), "--flag is deprecated: it will go"),
        (("--weight", "2"), None),
        ((), None),
    ],
)
def test_who_types_a_deprecated_option_is_told_in_one_line(
    dime: Dime, words: tuple[str, ...], told: str | None
) -> None:
    ran = dime("train", "new", *words, "--dry-run")
    assert ran.code == 0
    assert ran.err == (f"Warning: {told}\n" if told else "")


def test_a_file_that_gives_one_is_told_with_its_place(dime: Dime) -> None:
    Path("run.toml").write_text('[objective]\nname = "new"\nstrength = 3.0\nflag = false\n')
    ran = dime("train", "--config", "run.toml", "--dry-run")
    assert ran.err == "Warning: 'strength' in [objective] of run.toml is deprecated: use --weight\n"
    Path("all.json").write_text(dime("train", "new", "--weight", "2", "--dry-run").out)
    assert dime("train", "--config", "all.json", "--dry-run").err == "", "a record of all options gives none"


def test_in_python_an_option_warns_whoever_gives_it_and_not_who_reads_it() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made = make("objective", "new", weight=2.0)
        assert (made.strength, made.flag) == (1.0, False)
        assert made.options() == made.model_validate(made.options()).options()
    with pytest.warns(DeprecatedWarning, match=r"^objective 'new': option 'strength' is deprecated: use --weight$"):
        assert make("objective", "new", strength=2.0).strength == 2.0


def test_a_subclass_reads_without_a_warning_too() -> None:
    class Base(Settings):
        old: int = Field(3, deprecated="use --new", validation_alias="was")

    class Derived(Base):
        new: int = 4

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert Derived().old == 3
        Derived.model_rebuild(force=True)
        assert (Derived(old=5).old, Base(old=6).old) == (5, 6)
    for name in ("old", "was"):
        with pytest.warns(DeprecatedWarning, match="option 'was' is deprecated: use --new"):
            checked(Derived, {name: 4})
