"""`dime plugins check` and `dime plugins new`, as a plugin author types them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dimecli.plugin import KINDS

Dime = Callable[..., Any]
Install = Callable[..., None]

NEAREST = '''
from dimecli.lazy import torch
from dimecli.plugin import Classifier


class _Means:
    def __init__(self, means):
        self.means = means

    def predict(self, codes):
        return torch.cdist(codes, self.means).argmin(1)

    def state(self):
        return {"means": self.means}


class NearestMean(Classifier):
    """The class whose mean code is nearest."""

    random = False

    def fit(self, train, validation, rng):
        means = [train.codes[train.labels == label].mean(0) for label in range(train.classes)]
        return _Means(torch.stack(means))

    def restore(self, state):
        return _Means(state["means"])
'''
FORGETFUL = NEAREST.replace('return {"means": self.means}', 'return {"means": 0 * self.means}')


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(NEAREST)
    return path


def test_a_file_that_keeps_its_promises(dime: Dime, file: Path) -> None:
    ran = dime("plugins", "check", "mine.py")
    assert ran.code == 0, ran.err
    assert ran.out.startswith("classifier 'nearest-mean' of mine.py (sha256 ")
    assert "BROKEN" not in ran.out
    assert "None of " in ran.err


def test_a_broken_promise_is_told_with_its_cure(dime: Dime, file: Path) -> None:
    file.write_text(FORGETFUL)
    ran = dime("plugins", "check", "mine.py")
    assert ran.code == 1
    assert ran.out.count("BROKEN") == 1
    assert "put all that is learned into state()" in ran.flat
    assert "promises is broken" in ran.err


def test_the_findings_as_json(dime: Dime, file: Path) -> None:
    file.write_text(FORGETFUL)
    ran = dime("plugins", "check", "mine.py", "--json")
    assert ran.code == 1
    (plugin,) = ran.json
    assert (plugin["kind"], plugin["name"]) == ("classifier", "nearest-mean")
    broken = [promise for promise in plugin["promises"] if promise["held"] is False]
    assert len(broken) == 1
    assert broken[0]["reason"]
    assert all(promise["reason"] is None for promise in plugin["promises"] if promise["held"])


def test_the_plugins_of_others_are_checked_unless_some_are_named(dime: Dime, install: Install) -> None:
    alone = dime("plugins", "check")
    assert alone.code == 2
    assert "there are no plugins but dimecli's own" in alone.err
    install("Dime_More", "0.3", {"dimecli.classifiers": "near = more_near:NearestMean"}, more_near=NEAREST)
    bad = {"dimecli.classifiers": "bad = bad_near:NearestMean\ngone = not_there:X"}
    install("dime-bad", "0.1", bad, bad_near=FORGETFUL)
    ran = dime("plugins", "check", "--json")
    assert ran.code == 1
    assert [plugin["name"] for plugin in ran.json] == ["bad", "gone", "near"]
    (gone,) = [plugin for plugin in ran.json if plugin["name"] == "gone"]
    assert [promise["held"] for promise in gone["promises"]] == [False]
    assert "ModuleNotFoundError" in gone["promises"][0]["reason"]
    assert dime("plugins", "check", "--dist", "dime-more").code == 0
    assert dime("plugins", "check", "near").code == 0
    assert dime("plugins", "check", "classifier", "bad").code == 1


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("check nope", "no plugin named 'nope'."),
        ("check density knn", "no density named 'knn'."),
        ("check gone.py", "gone.py: No such file or directory"),
        ("check --dist nope", "--dist nope: it has no plugins. Known: dimecli."),
        ("check knn --dist dimecli", "give a distribution, or 'knn', not both"),
        ("list nothing", "no kind of plugin is called 'nothing'."),
        ("new objectiv mine", "no kind of plugin is called 'objectiv'. Did you mean 'objective'?"),
        ("new objective Mine", "Mine"),
        ("new objective mine --license gpl", "'gpl' is not one of"),
    ],
)
def test_mistakes_of_authors(dime: Dime, words: str, says: str) -> None:
    ran = dime("plugins", *words.split())
    assert ran.code == 2
    assert says in ran.err
    assert ran.err.count("\n") == 1


def test_only_one_kind_is_listed(dime: Dime) -> None:
    rows = dime("plugins", "list", "classifier", "--json").json
    assert {row["kind"] for row in rows} == {"classifier"}


def test_a_page_of_documentation(dime: Dime) -> None:
    page = dime("plugins", "show", "classifier", "knn", "--markdown").out
    assert page.startswith("# knn\n\n*classifier of dimecli ")
    assert "dime classify --classifier knn" in page
    assert "| `--neighbors` | `int` | `5` |" in page


@pytest.mark.parametrize("kind", KINDS)
def test_new_writes_a_distribution_and_says_what_to_type(dime: Dime, tmp_path: Path, kind: str) -> None:
    ran = dime("plugins", "new", kind, "first-try", "--author", "Ada")
    assert ran.code == 0, ran.err
    folder = tmp_path / "dime-first-try"
    assert {"pyproject.toml", "README.md", "LICENSE"} <= {file.name for file in folder.iterdir()}
    assert "Ada" in (folder / "LICENSE").read_text()
    assert ran.out.splitlines()
    assert "pip install -e ./dime-first-try" in ran.err
    assert f"dime plugins check {kind} first-try" in ran.err
    again = dime("plugins", "new", kind, "first-try")
    assert again.code == 2
    assert again.err.count("\n") == 1


def test_a_name_that_somebody_has_already_is_told(dime: Dime, file: Path) -> None:
    file.write_text(NEAREST.replace("NearestMean", "Linear"))
    ran = dime("plugins", "check", file.name)
    assert ran.code == 1
    assert "BROKEN nobody else has its name classifier 'linear' is claimed by dimecli" in ran.flat
    assert ran.out.count("BROKEN") == 1
