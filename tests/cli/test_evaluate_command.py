"""`dime evaluate`: what is printed, what is kept, and what is said of what went wrong."""

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
from dimecli.errors import DimeError, UserError
from dimecli.plugin import Measured, Metric


class Steady(Metric):
    """A number that is known."""

    k: int = Field(3, ge=1, description="A number.")

    def measure(self, subject):
        conditions = {"n": len(subject.data), "k": self.k, **{"same": "yes"}}
        yield Measured("steady", 0.123456, "higher", "nats", conditions, "It says\\nso.")
        yield Measured("steady/of-draws", 2.0, conditions={**subject.sampling, "same": "yes"})


class Mistaken(Metric):
    """A mistake of the user."""

    def measure(self, subject):
        raise UserError("-n 5: should be at least 6")


class Failing(Metric):
    """Something fails."""

    def measure(self, subject):
        raise DimeError("the codes are all the same")


class Crashing(Metric):
    """A mistake of the plugin."""

    def measure(self, subject):
        raise ZeroDivisionError("by nothing")


class NoNumber(Metric):
    """Not a number."""

    def measure(self, subject):
        return [Measured("no-number", float("nan"), conditions={"n": 1})]


class Choosy(Metric):
    """Of sentences."""

    modalities = frozenset({"sentence"})

    def measure(self, subject):
        raise AssertionError("it was refused")
'''
NAMES = {
    "choosy": "Choosy",
    "crashing": "Crashing",
    "failing": "Failing",
    "mistaken": "Mistaken",
    "no-number": "NoNumber",
    "steady": "Steady",
}
WHY = {
    "choosy": "it is of sentences; this run is of images",
    "crashing": "metric 'crashing' of dime-more 0.3 failed: ZeroDivisionError: by nothing",
    "failing": "the codes are all the same",
    "mistaken": "-n 5: should be at least 6",
    "no-number": "no-number is nan",
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from dimecli.api import train
    from dimecli.registry import make

    folder = tmp_path_factory.mktemp("trained")
    return train("ae", "digits", make("network", "mlp", widths=(8,)), runs=folder, epochs=1).path


@pytest.fixture
def run(trained: Path, tmp_path: Path, install: Install) -> Path:
    """A run of digits, and metrics that do one thing each."""
    import shutil

    points = "\n".join(f"{name} = more_metrics:{cls}" for name, cls in NAMES.items())
    install("dime-more", "0.3", {"dimecli.metrics": points}, more_metrics=SOURCE)
    return Path(shutil.copytree(trained, tmp_path / "runs" / "run-0"))


def test_a_table_with_conditions_that_all_share_below_it(dime: Dime, run: Path) -> None:
    ran = dime("evaluate", "--metric", "steady", "-n", "20", "--density", "gaussian", "--seed", "4")
    assert ran.code == 0, ran.err
    assert ran.out.splitlines() == [
        "metric           value   unit                    conditions",
        "steady           0.1235  nats  higher is better  k 3",
        "  It says so.",
        "steady/of-draws  2                               density gaussian, fitted_on train",
        "all: split test, seed 4, n 20, same yes",
    ]
    path = Path("runs") / "run-0"
    assert ran.err.splitlines()[-2:] == [f"Wrote {path / 'metrics.jsonl'}", f"Next: dime report {path}"]


def test_json(dime: Dime, run: Path) -> None:
    ran = dime("evaluate", "run-0", "--metric", "steady", "-n", "20", "--split", "validation", "--json", "--quiet")
    assert (ran.code, ran.err) == (0, "")
    assert set(ran.json) == {"run", "metrics"}
    assert ran.json["run"] == "run-0"
    first, second = ran.json["metrics"]
    assert {"metric", "value", "direction", "conditions"} < set(first)
    assert (first["metric"], first["value"], first["direction"]) == ("steady", 0.123456, "higher")
    assert first["conditions"] == {"split": "validation", "seed": 0, "n": 20, "k": 3, "same": "yes"}
    assert second["direction"] is None
    assert second["conditions"]["density"]["name"] == "gmm"
    lines = (run / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == ran.json["metrics"]


@pytest.mark.parametrize(
    ("name", "code"), [("mistaken", 2), ("choosy", 2), ("failing", 1), ("crashing", 1), ("no-number", 1)]
)
def test_one_that_fails_is_told_and_the_others_are_kept(dime: Dime, run: Path, name: str, code: int) -> None:
    ran = dime("evaluate", "--metric", f"{name},steady", "-n", "5", "--json", "--quiet")
    assert ran.code == code
    assert [one["metric"] for one in ran.json["metrics"]] == ["steady", "steady/of-draws"]
    assert len((run / "metrics.jsonl").read_text().splitlines()) == 2
    assert ran.err.splitlines() == [
        f"Warning: {name}: {WHY[name]}",
        f"Error: --metric: no number of {name}; the reasons are above",
    ]


def test_mistakes_and_failures_together_are_a_failure(dime: Dime, run: Path) -> None:
    ran = dime("evaluate", "--metric", "mistaken,failing", "-n", "5", "--quiet")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.splitlines()[-1] == "Error: --metric: no number of mistaken, failing; the reasons are above"
    assert not (run / "metrics.jsonl").exists()


def test_all_leaves_out_what_does_not_apply(dime: Dime, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _only(monkeypatch, "choosy", "steady")
    ran = dime("evaluate", "-n", "20")
    assert ran.code == 0
    assert f"Left out: choosy: {WHY['choosy']}" in ran.err.splitlines()
    assert "Warning" not in ran.err
    assert dime("evaluate", "-n", "20", "--quiet", "--json").err == ""


def test_all_leaves_out_a_plugin_that_is_broken(
    dime: Dime, run: Path, install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("dime-broken", "0.1", {"dimecli.metrics": "broken = broken_metric:Broken"}, broken_metric="import nothing")
    _only(monkeypatch, "broken", "choosy", "steady")
    broken = (
        "metric 'broken' of dime-broken 0.1 (broken_metric:Broken) failed to import: "
        "ModuleNotFoundError: No module named 'nothing'"
    )
    ran = dime("evaluate", "-n", "20")
    assert ran.code == 0
    assert ran.err.splitlines()[0] == f"Warning: left out: {broken}"
    assert f"Left out: choosy: {WHY['choosy']}" in ran.err.splitlines()
    named = dime("evaluate", "-n", "20", "--metric", "steady,broken")
    assert (named.code, named.out, named.err) == (1, "", f"Error: {broken}\n")


def _only(monkeypatch: pytest.MonkeyPatch, *kept: str) -> None:
    """Hides the other metrics, of which some take long."""
    from dimecli.cli import line, several
    from dimecli.registry import names

    def visible(kind: str) -> list[str]:
        return [name for name in names(kind) if kind != "metric" or name in kept]

    monkeypatch.setattr(line, "names", visible)
    monkeypatch.setattr(several, "names", visible)


def test_a_dry_run_prints_what_a_config_takes(dime: Dime, run: Path, tmp_path: Path) -> None:
    ran = dime("evaluate", "--metric", "steady", "--k", "5", "--split", "train", "--components", "2", "--dry-run")
    assert ran.json["metric"] == {"name": "steady", "steady": {"k": 5}}
    assert (ran.json["density"]["name"], ran.json["density"]["components"]) == ("gmm", 2)
    assert (ran.json["evaluate"]["count"], ran.json["evaluate"]["split"]) == (10_000, "train")
    assert ran.err == f"Would measure {Path('runs') / 'run-0'}\n"
    assert not (run / "metrics.jsonl").exists()
    (tmp_path / "x.json").write_text(ran.out)
    assert dime("evaluate", "--config", "x.json", "--dry-run").json == ran.json
    everything = dime("evaluate", "--dry-run").json
    assert everything["metric"]["name"] == "all"
    (tmp_path / "y.json").write_text(json.dumps(everything))
    assert dime("evaluate", "--config", "y.json", "--dry-run").json == everything


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("-n 0", "--count: should be greater than or equal to 1, got '0'"),
        ("-n many", "--count: should be a valid integer, got 'many'"),
        ("--split all", "--split: should be 'train', 'validation' or 'test', got 'all'"),
        ("--seed -1", "--seed: should be greater than or equal to 0, got '-1'"),
        ("--metric steadi", "--metric steadi: no metric 'steadi'. Did you mean 'steady'?"),
        ("--metric steady --k 0", "--k: should be greater than or equal to 1, got '0'"),
        ("--metric failing --k 3", "No such option: --k"),
        ("--density gmn", "no density named 'gmn'. Did you mean 'gmm'?"),
        ("run-9 --metric steady", "no run 'run-9' in runs. Did you mean 'run-0'?"),
    ],
)
def test_mistakes(dime: Dime, run: Path, words: str, says: str) -> None:
    ran = dime("evaluate", *words.split())
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith(f"Error: {says}")
    assert len(ran.err.splitlines()) == 1


def test_a_density_that_does_not_suit_is_told_of_what_needs_samples(dime: Dime, run: Path) -> None:
    ran = dime("evaluate", "--metric", "norms,steady", "--density", "sphere-uniform", "-n", "20", "--json", "--quiet")
    assert ran.code == 2
    assert {one["metric"].partition("/")[0] for one in ran.json["metrics"]} == {"norms"}
    assert ran.err.splitlines()[0].startswith("Warning: steady: --density sphere-uniform is for a latent space that is")
