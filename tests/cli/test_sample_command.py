"""`dime sample` over a run that only records what it was asked for."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dimecli.run.sentences import Rates

Dime = Callable[..., Any]
RunRecord = Callable[..., dict[str, Any]]
Install = Callable[..., None]

DENSITY = '''
from pydantic import Field
from dimecli.plugin import Density

class Flat(Density):
    """Flat."""

    width: float = Field(1.0, gt=0, description="Width.")

    def fit(self, codes, rng, prior=None): ...
    def restore(self, state, prior=None): ...
'''


@pytest.fixture
def asked(
    install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_record: RunRecord
) -> list[tuple[Any, ...]]:
    """Two finished runs and one that is not, a density `flat`, and what the API was asked for."""
    import dimecli.api

    install("dime-flat", "1.0", {"dimecli.densities": "flat = flat:Flat"}, flat=DENSITY)
    for number, state in enumerate(("finished", "finished", "interrupted")):
        folder = tmp_path / "runs" / f"run-{number}"
        folder.mkdir(parents=True)
        (folder / "run.json").write_text(json.dumps(run_record(state, created=f"2026-11-2{number}")))
    calls: list[tuple[Any, ...]] = []

    def load_run(path: Path, *, device: str) -> Any:
        def sample(n: int, density: Any, seed: int, project: bool | None, how: Any, reporter: Any) -> Any:
            calls.append((path.name, device, n, density.options(), seed, project, how.decode, how.reserve))
            return SimpleNamespace(x=["symbols"] * n)

        modality = "sentence" if path.name == "run-0" else "image"
        return SimpleNamespace(path=path, sample=sample, model=SimpleNamespace(spec=SimpleNamespace(modality=modality)))

    monkeypatch.setattr(dimecli.api, "load_run", load_run)
    monkeypatch.setattr(dimecli.api, "save_samples", lambda run, drawn: [run.path / "drawn.png"])
    monkeypatch.setattr(dimecli.api, "first_different", lambda run, n, draw: (draw(n), draw(2 * n)))
    monkeypatch.setattr(dimecli.api, "texts", lambda run, x: ["x+1", None, "sin(x)", "a\tb\x1b"])
    monkeypatch.setattr(dimecli.api, "rates", lambda run, x: Rates(0.75, 0.5, 1.0, 0.125))
    return calls


def test_sample_draws_from_the_newest_finished_run(dime: Dime, asked: list[Any]) -> None:
    ran = dime("sample", "--density", "flat", "--json")
    assert ran.json == {"run": "run-1", "density": "flat", "n": 64, "files": [str(Path("runs/run-1/drawn.png"))]}
    assert asked == [("run-1", "auto", 64, {"width": 1.0}, 0, None, "auto", True)]
    assert f"Wrote 64 samples of run-1, density flat: {Path('runs/run-1/drawn.png')}\n" in ran.err


@pytest.mark.parametrize("count", ["-n", "--count"])
def test_options_reach_the_run(dime: Dime, asked: list[Any], count: str) -> None:
    words = f"sample run-0 --density flat --width 2 {count} 5 --seed 3 --no-project --device cpu --quiet"
    assert dime(*words.split(), "--decode", "vote:25", "--no-reserve") == (0, "", "")
    assert asked[0] == ("run-0", "cpu", 5, {"width": 2.0}, 3, False, "vote:25", False)


def test_a_file_gives_the_options_of_sample_too(dime: Dime, asked: list[Any], tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text("[density]\nname = 'flat'\nwidth = 3\n[sample]\ncount = 7\nproject = true\n")
    assert dime("sample", "--config", "x.toml", "--seed", "1").code == 0
    assert asked == [("run-1", "auto", 7, {"width": 3.0}, 1, True, "auto", True)]


def test_a_dry_run_draws_nothing(dime: Dime, asked: list[Any]) -> None:
    ran = dime("sample", "--density", "flat", "-n", "3", "--dry-run")
    assert ran.err == f"Would draw from {Path('runs/run-1')}\n"
    shown = ran.json
    assert shown["density"] == {"name": "flat", "width": 1.0}
    assert shown["sample"]["count"] == 3
    assert not asked
    Path("dry.json").write_text(ran.out)
    assert dime("sample", "--config", "dry.json", "--dry-run").json == shown


def test_a_suggested_command_can_be_pasted(dime: Dime, asked: list[Any], tmp_path: Path) -> None:
    (tmp_path / "runs").rename(tmp_path / "my runs")
    ran = dime("sample", "--runs", "my runs", "--density", "flat")
    assert f"Next, to compare: dime sample '{Path('my runs/run-1')}' --density gmm" in ran.err


def test_sentences_are_printed_and_their_rates_told(dime: Dime, asked: list[Any]) -> None:
    ran = dime("sample", "run-0", "--density", "flat")
    assert ran.out == "x+1\nsin(x)\na\\tb\\x1b\n"
    assert "Of 128 draws: complete 75.0%, valid 50.0%, distinct 100.0%, novel 12.5%\n" in ran.err


def test_repeated_sentences_can_be_kept(dime: Dime, asked: list[Any]) -> None:
    ran = dime("sample", "run-0", "--density", "flat", "--no-distinct")
    assert "Of 64 draws: " in ran.err
    assert len(asked) == 1


def test_what_is_novel_may_be_unknown(dime: Dime, asked: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dimecli.api.rates", lambda run, x: Rates(1.0, 1.0, 1.0, None))
    ran = dime("sample", "run-0", "--density", "flat", "--json")
    assert ran.json["novel"] is None
    assert "distinct 100.0%, novel unknown\nNote: which are novel is unknown, because" in ran.err


def test_sentences_go_into_a_file_instead(dime: Dime, asked: list[Any], tmp_path: Path) -> None:
    ran = dime("sample", "run-0", "--density", "flat", "-o", "mine.txt")
    assert ran.out == ""
    assert "Wrote mine.txt\n" in ran.err
    assert (tmp_path / "mine.txt").read_text() == "x+1\nsin(x)\na\\tb\\x1b\n"


def test_json_has_the_sentences_and_their_rates(dime: Dime, asked: list[Any]) -> None:
    assert dime("sample", "run-0", "--density", "flat", "-n", "4", "--json").json == {
        "run": "run-0",
        "density": "flat",
        "n": 4,
        "files": [str(Path("runs/run-0/drawn.png"))],
        "sentences": ["x+1", "sin(x)", "a\tb\x1b"],
        "complete": 0.75,
        "valid": 0.5,
        "distinct": 1.0,
        "novel": 0.125,
    }


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("--density flat -o x.txt", "--output x.txt: run run-1 gives no sentences; samples go to runs/run-1/samples"),
        ("--density flat -o .", "'.' is a directory"),
        (
            "--density flat --decode vote:0",
            "--decode: should be auto, argmax, sample or vote:K with K from 1 to 1000, got",
        ),
        ("--density flat --width 0", "--width: should be greater than 0, got '0'"),
        ("--density flat -n 0", "--count: should be greater than or equal to 1, got '0'"),
        ("--density flt", "no density named 'flt'. Did you mean 'flat'?"),
        ("--density flat run-9", "no run 'run-9' in runs. Did you mean 'run-"),
        ("--density flat --runs nowhere", "no finished run in nowhere; train one first: dime train"),
    ],
)
def test_mistakes(dime: Dime, asked: list[Any], words: str, says: str) -> None:
    ran = dime("sample", *words.split())
    assert ran.code == 2
    assert says in ran.err
    assert not asked
