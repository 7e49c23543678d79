from __future__ import annotations

from collections.abc import Callable
from typing import get_args

import pytest

from dimecli.defaults import Role, default, optional
from dimecli.errors import PluginError, UserError
from dimecli.registry import forget, make, names

Install = Callable[..., None]

KIND = {
    "image network": "network",
    "sentences": "dataset",
    "arithmetic": "problem",
    "function": "problem",
    "program": "problem",
    "here": "executor",
    "elsewhere": "executor",
}


@pytest.mark.parametrize("role", get_args(Role))
def test_every_role_is_played_by_a_plugin_that_is_there(role: Role) -> None:
    if role == "baselines":
        assert set(default(role).split(",")) <= set(names("search"))
    else:
        assert default(role) in names(KIND.get(role, role))


def test_roles_that_imply_options_are_played_by_plugins_that_have_them() -> None:
    assert "function" in make("problem", default("function")).options()
    assert "command" in make("problem", default("program")).options()
    assert "grammar" in make("dataset", default("sentences")).options()


def test_a_third_party_adds_roles_and_takes_none_away(install: Install) -> None:
    before = default("density")
    source = 'TAKEN = {"density": "theirs"}\n'
    install("dime-more", "0.3", {"dimecli.defaults": "more = more_defaults:TAKEN"}, more_defaults=source)
    assert default("density") == before


def test_what_is_chosen_alone_says_its_own(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    source = 'TAKEN = {"density": "theirs"}\n'
    install("dime-more", "0.3", {"dimecli.defaults": "more = more_defaults:TAKEN"}, more_defaults=source)
    monkeypatch.setenv("DIME_PLUGINS", "dime-more")
    forget()
    assert default("density") == "theirs"
    assert optional("here") is None
    with pytest.raises(
        UserError, match=r"no executor for cheap problems is named.*DIME_PLUGINS \(dime-more\).*name one"
    ):
        default("here")
    forget()


@pytest.mark.parametrize("source", ["import nothing_at_all\n", "raise SystemExit(3)\n", "TAKEN = 5\n"])
def test_defaults_that_do_not_import_hurt_only_where_nobody_else_has_any(
    install: Install, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    install("dime-more", "0.3", {"dimecli.defaults": "more = more_defaults:TAKEN"}, more_defaults=source)
    assert default("density")
    monkeypatch.setenv("DIME_PLUGINS", "dime-more")
    forget()
    with pytest.raises(PluginError, match=r"defaults of dime-more 0.3 \(more_defaults:TAKEN\): \w+"):
        default("density")
