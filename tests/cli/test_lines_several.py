"""Commands that take several plugins of a kind: names with commas, shared options, tables of their own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Dime = Callable[..., Any]
Install = Callable[..., None]

SOURCE = '''
from pydantic import Field
from dimecli.plugin import Metric


class Near(Metric):
    """Near."""

    k: int = Field(3, ge=1, description="Neighbours.")
    exact: bool = Field(False, description="Slow.")

    def measure(self, subject): ...


class Far(Metric):
    """Far."""

    k: int = Field(5, ge=4, description="Neighbours.")
    seed: int = Field(7, ge=0, description="Its own seed.")
    components: int = Field(2, description="An option that the density has, too.")

    def measure(self, subject): ...
'''
FORMLESS = '''
from pydantic import Field
from dimecli.plugin import Metric


class Formless(Metric):
    """An option has no form on a command line."""

    table: dict[str, int] = Field({}, description="No form.")

    def measure(self, subject): ...
'''


@pytest.fixture(autouse=True)
def metrics(install: Install, tmp_path: Path, run_record: Callable[..., Any]) -> None:
    install("dime-more", "0.3", {"dimecli.metrics": "near = more:Near\nfar = more:Far"}, more=SOURCE)
    folder = tmp_path / "runs" / "run-0"
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps(run_record()))


def chosen(dime: Dime, *words: str) -> Any:
    ran = dime("evaluate", *words, "--dry-run")
    assert ran.code == 0, ran.err
    return ran.json["metric"]


def refused(dime: Dime, *words: str) -> str:
    ran = dime("evaluate", *words, "--dry-run")
    assert (ran.code, ran.out) == (2, "")
    (line,) = ran.err.splitlines()
    return str(line)


NEAR, FAR = {"k": 3, "exact": False}, {"k": 5, "seed": 7, "components": 2}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("near", {"name": "near", "near": NEAR}),
        ("far,near", {"name": "far,near", "far": FAR, "near": NEAR}),
        (" near , near,", {"name": "near", "near": NEAR}),
    ],
)
def test_names_with_commas_between(dime: Dime, words: str, expected: Any) -> None:
    found = chosen(dime, "--metric", words)
    assert found == expected
    assert list(found) == list(expected)  # they are measured in this order


def test_all_is_every_plugin_that_is_installed(dime: Dime) -> None:
    from dimecli.registry import names

    for words in ((), ("--metric", "all"), ("--metric", "near,all")):
        found = chosen(dime, *words)
        assert found.pop("name") == "all"
        assert list(found) == names("metric")


def test_an_option_that_several_have_is_one_option(dime: Dime) -> None:
    assert chosen(dime, "--metric", "near,far", "--k", "9") == {
        "name": "near,far",
        "near": NEAR | {"k": 9},
        "far": FAR | {"k": 9},
    }
    assert refused(dime, "--metric", "near,far", "--k", "3") == (
        "Error: --k: should be greater than or equal to 4, got '3'"
    )
    assert dime("evaluate", "--metric", "near,far", "--help").out.count("--k ") == 1


def test_an_option_that_the_command_or_another_plugin_has_is_spelled_with_the_kind(dime: Dime) -> None:
    words = ("--metric", "far", "--metric.seed", "1", "--metric.components", "4", "--seed", "2", "--components", "6")
    assert chosen(dime, *words) == {"name": "far", "far": {"k": 5, "seed": 1, "components": 4}}


def test_a_flag_of_one_of_them(dime: Dime) -> None:
    assert chosen(dime, "--metric", "far,near", "--exact")["near"] == NEAR | {"exact": True}


def test_a_file_names_them_and_has_a_table_for_each(dime: Dime, tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text('[metric]\nname = "near, far"\n[metric.near]\nk = 2\n[metric.far]\nseed = 4\n')
    assert chosen(dime, "--config", "x.toml") == {
        "name": "near,far",
        "near": NEAR | {"k": 2},
        "far": FAR | {"seed": 4},
    }
    typed = chosen(dime, "--config", "x.toml", "--metric", "near", "--exact")
    assert typed == {"name": "near", "near": {"k": 2, "exact": True}}
    assert chosen(dime, "--config", "x.toml", "--k", "8")["near"] == NEAR | {"k": 8}


@pytest.mark.parametrize(
    ("toml", "says"),
    [
        ('name = "neer"', "'name' in [metric] of x.toml: no metric 'neer'. Did you mean 'near'? Known: "),
        ('name = ""', "'name' in [metric] of x.toml: give names with commas between, of all, "),
        ("name = 3", "'name' in [metric] of x.toml: only 'name', names with commas between, and tables "),
        ("k = 3", "'k' in [metric] of x.toml: only 'name', names with commas between, and tables "),
        ("[metric.neer]\nk = 3", "[metric.neer] of x.toml: no metric 'neer'. Did you mean 'near'? Known: "),
        (
            'name = "near"\n[metric.near]\nkk = 3',
            "'kk' in [metric.near] of x.toml: metric 'near' has no such option. Did you mean 'k'? Known: exact, k.",
        ),
        (
            'name = "near"\n[metric.near]\nk = "3"',
            "'k' in [metric.near] of x.toml: should be of type int, got '3'",
        ),
        (
            'name = "near"\n[metric.near]\nk = 0',
            "'k' in [metric.near] of x.toml: should be greater than or equal to 1, got 0",
        ),
    ],
)
def test_mistakes_in_a_file(dime: Dime, tmp_path: Path, toml: str, says: str) -> None:
    (tmp_path / "x.toml").write_text(f"[metric]\n{toml}\n")
    assert refused(dime, "--config", "x.toml").startswith(f"Error: {says}")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["near,farr"], "--metric near,farr: no metric 'farr'. Did you mean 'far'? Known: "),
        ([","], "--metric ,: give names with commas between, of all, "),
        ([""], "--metric: give names with commas between, of all, "),
    ],
)
def test_mistakes_on_the_line(dime: Dime, words: list[str], says: str) -> None:
    assert refused(dime, "--metric", *words).startswith(f"Error: {says}")


@pytest.mark.parametrize(
    ("points", "source", "says"),
    [
        (
            "odd = odd:Odd",
            "import nothing",
            "metric 'odd' of dime-odd 0.1 (odd:Odd) failed to import: ModuleNotFoundError: No module named 'nothing'",
        ),
        ("odd = odd:Formless", FORMLESS, "metric 'odd' of dime-odd 0.1 (odd:Formless): option 'table': "),
        ("near = odd:Formless", FORMLESS, "metric 'near' is claimed by dime-more 0.3 (more:Near) and dime-odd 0.1 "),
    ],
)
def test_a_broken_plugin_is_left_out_of_all_and_fatal_where_it_is_named(
    dime: Dime, install: Install, points: str, source: str, says: str
) -> None:
    install("dime-odd", "0.1", {"dimecli.metrics": points}, odd=source)
    name = points.partition(" ")[0]
    ran = dime("evaluate", "--dry-run")
    assert ran.code == 0
    assert f"Warning: left out: {says}" in ran.err
    assert name not in ran.json["metric"]
    assert "far" in ran.json["metric"]
    for words in (name, f"far,{name}", f"all,{name}"):
        named = dime("evaluate", "--metric", words, "--dry-run")
        assert (named.code, named.out) == (1, "")
        assert named.err.startswith(f"Error: {says}")


def test_the_help_lists_the_names_and_the_default(dime: Dime) -> None:
    flat = dime("evaluate", "--metric", "far", "--help").flat
    assert "with commas between: all, " in flat
    assert "[default: all]" in flat
    assert "Options of metric 'far' (dime-more 0.3)" in flat
