from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dimecli.plugin import KINDS
from dimecli.registry import registered

Dime = Callable[..., Any]
Install = Callable[..., None]

MORE = '''
from pydantic import Field
from dimecli.plugin import Density, Loss, Objective

class Mine(Objective):
    """Mine [really].

    More words.
    """

    lam: float = Field(0.5, ge=0, validation_alias="lambda", description="Weight [0, 1].")
    presets = {"soft": {"objective": {"lambda": 0.25}, "train": {"lr": 0.5}}}

    def loss(self, model, x, rng): ...

class Formless(Mine):
    """No form."""

    table: dict[str, int] = Field({}, description="Nothing that can be typed.")

class Same(Density):
    """Same name, another kind."""

    def fit(self, codes, rng, prior=None): ...
    def restore(self, state, prior=None): ...
'''


@pytest.fixture(autouse=True)
def more(install: Install) -> None:
    points = {
        "dimecli.objectives": "mine = more_mod:Mine\nbad = not_there:X\nformless = more_mod:Formless",
        "dimecli.densities": "mine = more_mod:Same",
    }
    install("dime-more", "0.3", points, more_mod=MORE)


@pytest.mark.parametrize("words", [("plugins",), ("plugins", "list")])
def test_the_list_has_every_plugin_and_says_what_is_broken(dime: Dime, words: tuple[str, ...]) -> None:
    ran = dime(*words)
    assert ran.code == 0
    for kind in KINDS:
        for entry in registered(kind):
            assert f"{kind} {entry.name} {entry.origin}" in ran.flat
    assert "objective mine dime-more 0.3 Mine [really]." in ran.flat
    assert "objective bad dime-more 0.3 BROKEN: objective 'bad' of dime-more 0.3 (not_there:X) failed" in ran.flat


def test_the_list_as_json(dime: Dime) -> None:
    rows = {(row["kind"], row["name"]): row for row in dime("plugins", "--json").json}
    assert len(rows) == sum(len(registered(kind)) for kind in KINDS)
    assert rows["objective", "mine"] == {
        "kind": "objective",
        "name": "mine",
        "origin": "dime-more 0.3",
        "summary": "Mine [really].",
        "error": None,
    }
    bad = rows["objective", "bad"]
    assert bad["summary"] is None
    assert "ModuleNotFoundError" in bad["error"]


def test_a_name_that_is_claimed_twice_is_an_error_of_both(dime: Dime, install: Install) -> None:
    install("dime-other", "2", {"dimecli.objectives": "mine = more_mod:Mine"})
    rows = [row for row in dime("plugins", "--json").json if (row["kind"], row["name"]) == ("objective", "mine")]
    assert [row["origin"] for row in rows] == ["dime-more 0.3", "dime-other 2"]
    for row in rows:
        assert row["summary"] is None
        assert "is claimed by dime-more 0.3 (more_mod:Mine) and dime-other 2 (more_mod:Mine)" in row["error"]
    assert dime("plugins", "show", "objective", "mine").flat.count("BROKEN: objective 'mine' is claimed by") == 2


def test_show_tells_every_option_and_preset(dime: Dime) -> None:
    ran = dime("plugins", "show", "objective", "mine")
    assert "objective 'mine' of dime-more 0.3: dime train mine Mine [really]. More words." in ran.flat
    assert "--lambda float 0.5 >= 0 Weight [0, 1]." in ran.flat
    assert "--latent-size int 16 >= 1 Dimension l of the codes." in ran.flat
    assert "preset 'soft': objective.lambda = 0.25, train.lr = 0.5" in ran.flat
    assert "density" not in ran.flat


def test_show_gives_all_plugins_of_a_name(dime: Dime) -> None:
    assert [found["kind"] for found in dime("plugins", "show", "mine", "--json").json] == ["objective", "density"]
    (found,) = dime("plugins", "show", "density", "mine", "--json").json
    assert found["options"] == []
    assert found["doc"] == "Same name, another kind."
    assert dime("plugins", "show", "density", "mine").out.endswith("\n\nIt has no options.\n")


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        ("show dimee", 2, "no plugin named 'dimee'. Did you mean 'dime'?"),
        ("show network dime", 2, "no network named 'dime'. Did you mean 'dime-conv'?"),
        (
            "show nothing dime",
            2,
            "takes NAME or KIND NAME, got 'nothing dime'; kinds: objective, network, dataset, grammar, density",
        ),
        ("show bad", 1, "objective 'bad' of dime-more 0.3 (not_there:X) failed to import"),
        ("show formless", 1, "(more_mod:Formless): option 'table': dict[str, int] has no form on a command line"),
        ("show", 2, "Missing argument '[KIND] NAME'."),
    ],
)
def test_mistakes(dime: Dime, words: str, code: int, says: str) -> None:
    ran = dime("plugins", *words.split())
    assert ran.code == code
    assert says in ran.err
    assert ran.err.count("\n") == 1
