"""`dime train` over a Python API that only records what it was called with."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dimecli.errors import DimeError

Dime = Callable[..., Any]
RunRecord = Callable[..., dict[str, Any]]


class Api:
    """Stands for `dimecli.api`."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.fails: BaseException | None = None
        self.noise: float | None = None

    def train(
        self, objective: Any, dataset: Any, network: Any, *, trackers: Any, settings: Any, runs: Path, reporter: Any
    ) -> Any:
        self.trackers = trackers
        self.calls.append((objective, dataset, network, settings, runs, reporter))
        return self._run(runs / "new-1")

    def resume(self, path: Path, *, reporter: Any) -> Any:
        self.calls.append((path, reporter))
        return self._run(path)

    def _run(self, path: Path) -> Any:
        if self.fails:
            raise self.fails
        shares = {"reconstruction": 0.999, "information": 0.001}
        terms = {"reconstruction": 2.5, "total": 2.5}
        results = {"seconds": 1.25, "terms": terms, "gradient_share": shares}
        return SimpleNamespace(path=path, results=results, notes=("mind the gap",), noise=self.noise)


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Api:
    import dimecli.api

    fake = Api()
    monkeypatch.setattr(dimecli.api, "train", fake.train)
    monkeypatch.setattr(dimecli.api, "resume", fake.resume)
    return fake


@pytest.fixture
def interrupted(tmp_path: Path, run_record: RunRecord) -> str:
    folder = tmp_path / "runs" / "old-1"
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps(run_record("interrupted")))
    return "old-1"


def test_train_hands_checked_plugins_and_settings_to_the_api(dime: Dime, api: Api) -> None:
    ran = dime("train", "vae", "--beta", "3", "--dataset", "gaussian-mixture", "--epochs", "2", "--runs", "there")
    assert ran.code == 0
    objective, dataset, network, settings, runs, reporter = api.calls[0]
    assert (type(objective).__name__, objective.beta) == ("VAE", 3.0)
    assert (type(dataset).__name__, type(network).__name__) == ("GaussianMixture", "MLP")
    assert settings.epochs == 2
    assert runs == Path("there")
    assert not reporter.quiet


def test_train_says_what_it_wrote_and_what_comes_next_on_stderr(dime: Dime, api: Api) -> None:
    ran = dime("train")
    assert ran.out == ""
    assert f"Wrote {Path('runs/new-1')} in 1.2 s; on validation: reconstruction 2.5, total 2.5\n" in ran.err
    assert "Share of the encoder's gradient: reconstruction 99.90%, information 0.10%\n" in ran.err
    assert "Warning: 'information' has almost no gradient, so it does nothing to the codes\n" in ran.err
    assert f"Next: dime sample {Path('runs/new-1')}\n" in ran.err


def test_train_tells_a_noise_that_was_learned(dime: Dime, api: Api) -> None:
    api.noise = 0.123456
    assert "total 2.5; the noise of x has standard deviation 0.1235\n" in dime("train").err


def test_trackers_and_their_options(dime: Dime, api: Api) -> None:
    words = ("train", "--track", "csv, mlflow", "--experiment", "first", "--epochs", "2")
    assert dime(*words).code == 0
    csv, mlflow = api.trackers
    assert (type(csv).__name__, type(mlflow).__name__, mlflow.experiment) == ("CSV", "MLflow", "first")
    chosen = dime(*words, "--dry-run").json["tracker"]
    assert chosen == {"name": "csv,mlflow", "csv": {}, "mlflow": {"tracking_uri": None, "experiment": "first"}}
    assert dime("train").code == 0
    assert api.trackers == []


def test_the_trackers_of_a_record_are_those_of_a_run_with_its_options(dime: Dime, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(dime("train", "--track", "mlflow", "--experiment", "first", "--dry-run").out)
    assert dime("train", "--config", "run.json", "--dry-run").json["tracker"]["mlflow"]["experiment"] == "first"
    both = dime("train", "--config", "run.json", "--track", "csv,mlflow", "--dry-run").json["tracker"]
    assert (both["name"], both["mlflow"]["experiment"]) == ("csv,mlflow", "first")
    assert "tracker" not in dime("train", "--config", "run.json", "--track", "none", "--dry-run").json


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("--track cvs", "--track cvs: no tracker 'cvs'. Did you mean 'csv'? Known: csv, mlflow, none,"),
        ("--track wandb --mode on", "--mode: should be 'offline' or 'online', got 'on'"),
        (
            "--tracking-uri x",
            "No such option: --tracking-uri. It is an option of tracker 'mlflow': add --track mlflow.",
        ),
    ],
)
def test_mistakes_with_trackers(dime: Dime, api: Api, words: str, says: str) -> None:
    ran = dime("train", *words.split())
    assert ran.code == 2
    assert ran.err.startswith(f"Error: {says}")
    assert ran.err.count("\n") == 1


def test_a_suggested_command_can_be_pasted(dime: Dime, api: Api) -> None:
    assert f"Next: dime sample '{Path('my runs/new-1')}'\n" in dime("train", "--runs", "my runs").err


def test_json_is_one_value_on_stdout_and_quiet_is_silent(dime: Dime, api: Api) -> None:
    ran = dime("train", "--json", "--quiet")
    assert ran.json == {"run": "new-1", "seconds": 1.25, "terms": {"reconstruction": 2.5, "total": 2.5}}
    assert ran.err == ""
    assert api.calls[0][-1].quiet
    assert dime("train", "--quiet") == (0, "", "")


def test_only_the_first_process_of_several_speaks(dime: Dime, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    assert dime("train", "--json") == (0, "", "")


def test_runs_come_from_the_environment(dime: Dime, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIME_RUNS", "elsewhere")
    assert dime("train").code == 0
    assert api.calls[0][4] == Path("elsewhere")


def test_threads_are_set_before_the_work(dime: Dime, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int | None] = []
    monkeypatch.setattr("dimecli.machine.set_up", asked.append)
    dime("train", "--threads", "3")
    assert asked == [3]


def test_a_dry_run_trains_nothing(dime: Dime, api: Api) -> None:
    assert dime("train", "--dry-run").json["objective"]["name"] == "dime"
    assert not api.calls


@pytest.mark.parametrize("words", [("--grammar", "boolean"), ("--grammar=boolean",)])
def test_a_grammar_is_a_dataset(dime: Dime, words: tuple[str, ...]) -> None:
    ran = dime("train", "vae", *words, "--size", "70", "--dry-run")
    assert ran.code == 0, ran.err
    assert {key: ran.json["dataset"][key] for key in ("name", "grammar", "size")} == {
        "name": "sentences",
        "grammar": "boolean",
        "size": 70,
    }
    assert ran.json["network"]["name"] == "grammar-transformer"


def test_a_grammar_in_a_file_is_a_dataset(dime: Dime, tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text("[dataset]\ngrammar = 'mine.cfg'\nsource = 'pcfg'\n")
    (tmp_path / "mine.cfg").write_text("S -> 'a' S | 'b'")
    dataset = dime("train", "--config", "x.toml", "--dry-run").json["dataset"]
    assert (dataset["name"], dataset["source"]) == ("sentences", "pcfg")
    assert dataset["grammar"] == str(tmp_path / "mine.cfg")


def test_the_help_of_a_grammar_shows_the_options_of_sentences(dime: Dime) -> None:
    assert "Options of dataset 'sentences'" in dime("train", "--grammar", "rna", "--help").flat
    assert "--skip-invalid" in dime("train", "--grammar", "rna", "--help").flat
    assert "--skip-invalid" not in dime("train", "--help").flat


def test_another_dataset_has_no_grammar(dime: Dime) -> None:
    ran = dime("train", "--dataset", "digits", "--grammar", "rna")
    assert ran.code == 2
    assert "It is an option of dataset 'sentences'" in ran.err


def test_resume_takes_the_name_of_a_run_or_its_path(dime: Dime, api: Api, interrupted: str, tmp_path: Path) -> None:
    assert dime("train", "--resume", interrupted, "--json").json["run"] == "old-1"
    assert dime("train", "--resume", str(tmp_path / "runs" / "old-1"), "--runs", "elsewhere").code == 0
    assert [call[0].resolve() for call in api.calls] == [tmp_path / "runs" / "old-1"] * 2


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ("vae", "objective 'vae'"),
        ("--gamma 3", "--gamma"),
        ("--epochs 3 --network mlp", "network 'mlp', --epochs"),
        ("--track csv", "tracker 'csv'"),
        ("--preset paper --dry-run", "preset 'paper', --dry-run"),
    ],
)
def test_resume_refuses_what_it_would_ignore(dime: Dime, api: Api, interrupted: str, words: str, named: str) -> None:
    ran = dime("train", "--resume", interrupted, *words.split())
    assert ran == (2, "", f"Error: --resume continues a run with its own options; drop {named}\n")
    assert not api.calls


def test_resuming_what_is_no_run_is_a_mistake(dime: Dime, api: Api, interrupted: str) -> None:
    ran = dime("train", "--resume", "old-2")
    assert ran.code == 2
    assert "no run 'old-2' in runs. Did you mean 'old-1'?" in ran.err


def test_a_failure_is_one_line_with_its_own_exit_code(dime: Dime, api: Api) -> None:
    api.fails = DimeError("term 'kl' is nan\n   at step 3")
    assert dime("train", "--quiet") == (1, "", "Error: term 'kl' is nan at step 3\n")


def test_an_interruption_exits_with_130(dime: Dime, api: Api) -> None:
    api.fails = KeyboardInterrupt()
    assert dime("train", "--quiet") == (130, "", "Error: interrupted\n")


def test_a_bug_keeps_its_traceback(dime: Dime, api: Api) -> None:
    api.fails = ZeroDivisionError("a bug")
    with pytest.raises(ZeroDivisionError, match="a bug"):
        dime("train", "--quiet")
