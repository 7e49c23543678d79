"""`dime report`: where the page goes, and what is said of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dimecli.report.report import Report

Dime = Callable[..., Any]
RunRecord = Callable[..., dict[str, Any]]


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_record: RunRecord) -> list[tuple[Any, ...]]:
    """Two finished runs, and what the page was asked to show of them."""
    import dimecli.api

    for name in ("a", "b"):
        (tmp_path / "runs" / name).mkdir(parents=True)
        (tmp_path / "runs" / name / "run.json").write_text(json.dumps(run_record(created=name)))
    calls: list[tuple[Any, ...]] = []

    def load_run(path: Path, *, device: str) -> Any:
        return SimpleNamespace(path=path, device=device)

    def report(runs: Any, output: Any, density: Any, *, n: int, seed: int, reporter: Any) -> Report:
        calls.append(([run.path.name for run in runs], output, density.options(), n, seed))
        return Report(Path("page.html"), {"Samples": "why"} if len(runs) > 1 else {})

    monkeypatch.setattr(dimecli.api, "load_run", load_run)
    monkeypatch.setattr(dimecli.api, "report", report)
    return calls


def test_the_newest_run_by_default(dime: Dime, asked: list[Any]) -> None:
    ran = dime("report", "-n", "9", "--seed", "2", "--density", "gmm", "--components", "3")
    ((names, output, density, n, seed),) = asked
    assert (names, output, density["components"], n, seed) == (["b"], None, 3, 9, 2)
    assert ran == (0, "", f"Wrote page.html\nNext: open it in a browser; dime evaluate {Path('runs/b')}\n")


def test_several_runs(dime: Dime, asked: list[Any]) -> None:
    ran = dime("report", "b", "a", "b", "-o", "x.html", "--json")
    assert asked[0][:2] == (["b", "a"], Path("x.html"))
    assert ran.json == {
        "runs": ["b", "a"],
        "file": "page.html",
        "missing": [{"section": "Samples", "reason": "why"}],
    }
    assert ran.err.splitlines() == [
        "Warning: Samples: why",
        "Wrote page.html",
        f"Next: open it in a browser; dime compare {Path('runs/b')} {Path('runs/a')}",
    ]
    assert dime("report", "a", "b", "--quiet") == (0, "", "")


def test_a_file_gives_options_and_a_dry_run_does_nothing(dime: Dime, asked: list[Any], tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text('[report]\ncount = 7\n[density]\nname = "gaussian"\n')
    found = dime("report", "--config", "x.toml", "--dry-run").json
    assert (found["report"]["count"], found["density"]["name"]) == (7, "gaussian")
    assert not asked


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("-n 0", "--count: should be greater than or equal to 1, got '0'"),
        ("-n 401", "--count: should be less than or equal to 400, got '401'"),
        ("a z", "no run 'z' in runs."),
        ("--density gm", "no density named 'gm'. Did you mean 'gmm'?"),
    ],
)
def test_mistakes(dime: Dime, asked: list[Any], words: str, says: str) -> None:
    ran = dime("report", *words.split())
    assert ran.code == 2
    assert says in ran.err
    assert not asked
