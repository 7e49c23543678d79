from __future__ import annotations

import sys
import tomllib
from collections.abc import Callable
from importlib.metadata import EntryPoints
from importlib.metadata import entry_points as real
from pathlib import Path
from typing import Any

import pytest

from dimecli.errors import PluginError, UserError
from dimecli.plugin import API, KINDS
from dimecli.registry import entry_of, find, forget, make, names, registered
from dimecli.run.origin import require

Install = Callable[..., None]

GOOD = '''
from dimecli.plugin import Loss, Objective

class Mine(Objective):
    """Mine."""

    def loss(self, model, x, rng):
        return Loss()
'''


def objective(name: str, module: str, cls: str = "Mine") -> dict[str, str]:
    return {"dimecli.objectives": f"{name} = {module}:{cls}"}


def test_what_pyproject_declares_is_installed() -> None:
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    for kind, base in KINDS.items():
        declared = project["entry-points"][base.group]
        installed = {entry.name: entry.point.value for entry in registered(kind) if entry.distribution == "dimecli"}
        assert installed == declared, "install the project again: pip install -e ."


def test_a_plugin_of_another_distribution_is_found_and_made(install: Install) -> None:
    install("dime-more", "0.3", objective("mine", "mine_a"), mine_a=GOOD)
    entry = find("objective", "mine")
    assert entry.origin == "dime-more 0.3"
    assert {"mine", "dime"} <= set(names("objective"))
    assert "mine_a" not in sys.modules, "listing imports no plugin"
    assert entry.plugin.summary() == "Mine."
    made = make("objective", "mine", latent_size=3)
    assert made.options() == {"latent_size": 3, "reduction": "sum"}
    assert entry_of(made) == entry


def test_a_class_that_its_package_reexports_knows_its_entry(install: Install) -> None:
    install("dime-more", "0.3", objective("mine", "front"), front="from back import Mine\n", back=GOOD)
    assert entry_of(make("objective", "mine")).name == "mine"


def test_a_class_that_nobody_registers_has_no_entry(install: Install) -> None:
    install("dime-more", "0.3", objective("mine", "mine_b"), mine_b=GOOD + "class Other(Mine):\n    'Other.'\n")
    cls = find("objective", "mine").plugin
    with pytest.raises(UserError, match=r"Other of mine_b is not registered under 'dimecli.objectives'"):
        entry_of(sys.modules[cls.__module__].Other())


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("import not_there\n", "failed to import: ModuleNotFoundError: No module named 'not_there'"),
        ("raise SystemExit(3)\n", "failed to import: SystemExit: 3"),
        ("1 / 0\n", "failed to import: ZeroDivisionError"),
        ("x = 1\n", "failed to import: AttributeError"),
        ("Mine = 5\n", "expected a subclass of dimecli.plugin.Objective, got 5"),
        ("from dimecli.plugin import Network as Mine\n", "expected a subclass of dimecli.plugin.Objective, got"),
        ("from dimecli.plugin import Objective as Mine\n", "lacks loss, which every objective must define"),
        (GOOD + f"    api = {API + 1}\n", f"made for plugin API {API + 1}, this dimecli has API {API}"),
    ],
)
def test_a_broken_plugin_says_why_and_hurts_nobody_else(install: Install, source: str, says: str) -> None:
    install("dime-bad", "0.1", objective("bad", "bad_mod"), bad_mod=source)
    with pytest.raises(PluginError) as caught:
        _ = find("objective", "bad").plugin
    message = str(caught.value)
    assert message.startswith("objective 'bad' of dime-bad 0.1 (bad_mod:Mine) ")
    assert says in message
    assert "\n" not in message
    assert find("objective", "ae").plugin.summary()


def test_an_interruption_is_no_failure_of_the_plugin(install: Install) -> None:
    install("dime-slow", "0.1", objective("slow", "slow_mod"), slow_mod="raise KeyboardInterrupt\n")
    with pytest.raises(KeyboardInterrupt):
        _ = find("objective", "slow").plugin


def test_a_name_claimed_twice_is_an_error_only_when_asked_for(install: Install) -> None:
    install("dime-one", "1.0", objective("twin", "one"), one=GOOD)
    install("dime-two", "2.0", objective("twin", "two"), two=GOOD)
    assert names("objective").count("twin") == 1
    assert find("objective", "ae").name == "ae"
    with pytest.raises(PluginError, match=r"dime-one 1.0 \(one:Mine\) and dime-two 2.0 \(two:Mine\)"):
        find("objective", "twin")


def test_a_misspelling_gets_the_nearest_name() -> None:
    with pytest.raises(UserError, match=r"no objective named 'dimee'. Did you mean 'dime'\? Known: a-mim, "):
        find("objective", "dimee")
    with pytest.raises(UserError, match=r"^no objective named 'pixelcnn', but a network: --network pixelcnn$"):
        find("objective", "pixelcnn")


def test_an_installation_without_entry_points_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dimecli.registry.entry_points", lambda: EntryPoints(()))
    forget()
    try:
        with pytest.raises(UserError, match=r"pip install -e \."):
            find("objective", "dime")
    finally:
        forget()


def test_the_files_of_distributions_are_read_once_for_all_kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []

    def entry_points(**chosen: Any) -> Any:
        calls.append(1)
        return real(**chosen)

    monkeypatch.setattr("dimecli.registry.entry_points", entry_points)
    forget()
    assert all(registered(kind) for kind in KINDS)
    assert len(calls) == 1


def test_an_environment_variable_chooses_the_distributions(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    install("Dime_More", "0.3", objective("mine", "mine_a"), mine_a=GOOD)
    install("dime-other", "0.1", objective("other", "other_a"), other_a=GOOD)
    monkeypatch.setenv("DIME_PLUGINS", "dime-more")
    forget()
    assert names("objective") == ["mine"]
    assert names("density") == []
    monkeypatch.setenv("DIME_PLUGINS", " dimecli , dime.other,")
    forget()
    assert "other" in names("objective")
    assert "dime" in names("objective")
    assert "mine" not in names("objective")
    monkeypatch.setenv("DIME_PLUGINS", "")
    forget()
    assert {"mine", "other", "dime"} <= set(names("objective"))


def test_a_distribution_that_is_not_there_is_a_mistake(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    install("dime-more", "0.3", objective("mine", "mine_a"), mine_a=GOOD)
    monkeypatch.setenv("DIME_PLUGINS", "dime-mroe")
    forget()
    with pytest.raises(
        UserError,
        match=r"^\$DIME_PLUGINS: no distribution 'dime-mroe' with plugins is installed. Did you mean 'dime-more'\?",
    ):
        names("objective")


def test_a_plugin_that_the_variable_leaves_out_is_no_riddle(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    install("dime-more", "0.3", objective("mine", "mine_a"), mine_a=GOOD)
    origin = find("objective", "mine").record
    monkeypatch.setenv("DIME_PLUGINS", "dimecli")
    forget()
    left = r"^no objective named 'mine' \(\$DIME_PLUGINS leaves out that of dime-more\)\. Known: "
    with pytest.raises(UserError, match=left):
        find("objective", "mine")
    with pytest.raises(UserError, match=r"of dime-more 0.3, which \$DIME_PLUGINS leaves out: add dime-more to it$"):
        require("run r-1", origin, "objective", "mine")
    with pytest.raises(UserError, match=r"^no objective named 'nine'\."):
        find("objective", "nine")


def test_an_option_without_a_default_is_told_when_the_plugin_is_asked_for(install: Install) -> None:
    source = GOOD + "    x: int\n"
    install("dime-bad", "0.1", objective("bad", "bad_mod"), bad_mod=source)
    with pytest.raises(
        PluginError, match=r"objective 'bad' of dime-bad 0.1 \(bad_mod:Mine\): option 'x': it has no def"
    ):
        _ = find("objective", "bad").plugin
