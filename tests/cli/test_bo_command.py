"""`dime bo` over a tiny run, with nothing replaced, and every mistake in one line."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dimecli.api import Run, train
from dimecli.cli.bo import spelled_out
from dimecli.registry import make

Dime = Callable[..., Any]

SMALL = ("--rounds", "2", "--batch", "4", "--initial", "6", "--device", "cpu")
MINE = '''
def longest(sentence):
    """Prints, which must not spoil what --json prints."""
    print("looking at", sentence)
    if "exp" in sentence:
        raise ValueError("exp is\\nforbidden")
    return len(sentence)

def two(sentence, other): ...
'''


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run on expressions that has hardly learned anything."""
    data = make("dataset", "sentences", grammar="expressions", max_length=8, size=120)
    network = make("network", "grammar-transformer", width=16)
    objective = make("objective", "dime", latent_size=4)
    runs = tmp_path_factory.mktemp("runs")
    return train(objective, data, network, runs=runs, max_steps=20, batch_size=20)


@pytest.fixture
def run(trained: Run, tmp_path: Path) -> str:
    """Its name, in the folder `runs`, without any search; and a file of functions."""
    shutil.copytree(trained.path, tmp_path / "runs" / trained.path.name)
    (tmp_path / "mine.py").write_text(MINE)
    return trained.path.name


def found(path: Path) -> list[tuple[Any, ...]]:
    """The evaluations in the order of their proposal; they are written as they arrive."""
    return sorted(tuple(line[key] for key in ("round", "index", "sentence", "value")) for line in lines(path))


def lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_the_problem_of_the_grammar_is_searched_and_compared(dime: Dime, run: str) -> None:
    ran = dime("bo", *SMALL)
    assert ran.code == 0, ran.err
    folder = Path("runs", run, "bo", "001-bo")
    for name in ("results.jsonl", "best-so-far.png", "predicted.png"):
        assert str(folder / name) in ran.err
        assert (folder / name).stat().st_size > 0
    rounds = [line for line in lines(folder / "results.jsonl") if line["round"] > 0]
    best = min(rounds, key=lambda line: line["value"])
    first = ran.out.splitlines()[1].split()
    assert first[:3] == ["1", f"{best['value']:.6g}", best["sentence"]]
    table = {line.split()[0]: line.split() for line in ran.out.split("\n\n")[1].splitlines()[1:]}
    assert list(table) == ["bo", "random", "pcfg"]
    assert table["bo"][1:3] == [f"{best['value']:.6g}", str(len(rounds))]
    assert f"Next, to compare: dime bo {Path('runs', run)} --search bo-svgp" in ran.err


def test_json_keeps_its_promise(dime: Dime, run: str) -> None:
    ran = dime("bo", *SMALL, "--search", "pcfg", "--baselines", "random", "--top", "3", "--json", "--quiet")
    assert (ran.code, ran.err) == (0, "")
    result = ran.json
    assert {key: result[key] for key in ("run", "problem", "search", "evaluations")} == {
        "run": run,
        "problem": "expression-regression",
        "search": "pcfg",
        "evaluations": 8,
    }
    values = [line["value"] for line in lines(Path("runs", run, "bo", "001-pcfg", "results.jsonl")) if line["round"]]
    assert [row["value"] for row in result["best"]] == sorted(values)[:3]
    assert result["valid"] == 1
    assert 0 <= result["novel"] <= 1
    assert result["distinct"] == 8 / result["proposals"]
    (baseline,) = result["baselines"]
    assert (baseline["search"], baseline["evaluations"] <= 8) == ("random", True)
    assert all(Path(file).is_file() for file in result["files"])


def test_a_baseline_that_is_better_is_told(dime: Dime, run: str) -> None:
    words = ("--search", "random", "--baselines", "pcfg,evolve", "--target", "1/(3)", "--json")
    ran = dime("bo", *SMALL, *words)
    own = ran.json["best"][0]["value"]
    better = {row["search"]: row["best"][0]["value"] < own for row in ran.json["baselines"]}
    assert any(better.values())
    for name, is_better in better.items():
        assert (f"Warning: {name} found better" in ran.err) == is_better


@pytest.mark.parametrize("executor", ["serial", "processes"])
def test_a_function_of_one_s_own(dime: Dime, run: str, executor: str) -> None:
    words = ("--problem", "mine.py:longest", "--search", "pcfg", "--executor", executor, "--workers", "1", "--json")
    ran = dime("bo", *SMALL, *words)
    assert ran.code == 0, ran.err
    result = ran.json  # what the function prints is not on stdout
    assert (result["problem"], result["baselines"]) == ("python", [])
    values = [row["value"] for row in result["best"]]
    assert values == [float(len(row["sentence"])) for row in result["best"]] == sorted(values, reverse=True)
    assert result["valid"] == len(values) / 8 or len(values) == 10
    config = json.loads(Path("runs", run, "bo", "001-pcfg", "search.json").read_text())["config"]
    assert config["problem"]["function"] == f"{Path('mine.py').absolute()}:longest"


def test_invalid_sentences_are_told_with_the_most_frequent_reason(dime: Dime, run: str) -> None:
    ran = dime("bo", *SMALL, "--problem", "cmd:sh -c 'echo no >&2; exit 3'", "--search", "pcfg", "--executor", "serial")
    assert ran.code == 0, ran.err
    assert "8 of 8 evaluations of problem 'command' are invalid, mostly: no\n" in ran.err
    assert ran.out.split("\n\n")[1].splitlines()[1].split()[:3] == ["pcfg", "none", "8"]


def test_an_optimum_is_told(dime: Dime, run: str) -> None:
    ran = dime("bo", *SMALL, "--target", "x", "--search", "pcfg", "--baselines", "pcfg", "--batch", "40")
    assert "The best value there is was found\n" in ran.err
    assert ran.out.splitlines()[1].split()[1] == "0"


def test_data_of_one_s_own(dime: Dime, run: str) -> None:
    rows = "".join(f"{x},{2 * x + 1}\n" for x in range(1, 6))
    Path("mine.csv").write_text(f"x,y\n{rows}")
    ran = dime("bo", *SMALL, "--data", "mine.csv", "--search", "pcfg", "--baselines", "", "--json")
    assert ran.code == 0, ran.err
    for row in ran.json["best"]:
        expected = math.log1p(sum(min((value(row["sentence"], x) - 2 * x - 1) ** 2, 1000) for x in range(1, 6)) / 5)
        assert row["value"] == pytest.approx(expected)


def value(sentence: str, x: float) -> float:
    return float(eval(sentence, {"sin": math.sin, "exp": math.exp, "x": x}))


def test_a_file_and_a_dry_run_say_the_same(dime: Dime, run: str) -> None:
    Path("a.toml").write_text(
        "[problem]\nname = 'python'\nfunction = 'mine.py:longest'\n[search]\nname = 'turbo'\n"
        "[executor]\nname = 'threads'\n[bo]\nrounds = 9\nbaselines = ['evolve']\n"
    )
    ran = dime("bo", "--config", "a.toml", "--rounds", "3", "--dry-run")
    assert ran.code == 0, ran.err
    shown = ran.json
    names = {kind: shown[kind]["name"] for kind in ("problem", "search", "executor", "density")}
    assert names == {"problem": "python", "search": "turbo", "executor": "threads", "density": "gmm"}
    assert (shown["bo"]["rounds"], shown["bo"]["baselines"]) == (3, ["evolve"])
    assert ran.err == f"Would search {Path('runs', run)}\n"
    Path("dry.json").write_text(ran.out)
    assert dime("bo", "--config", "dry.json", "--dry-run").json == shown
    assert not Path("runs", run, "bo").exists()


def test_an_interrupted_search_goes_on_with_its_own_options(dime: Dime, run: str) -> None:
    words = ("--search", "pcfg", "--baselines", "random", "--seed", "5")
    assert dime("bo", *SMALL, *words, "--quiet").code == 0
    whole = Path("runs", run, "bo", "001-pcfg")
    part = whole.with_name("002-pcfg")
    shutil.copytree(whole, part)
    kept = (whole / "results.jsonl").read_text().splitlines(keepends=True)
    (part / "results.jsonl").write_text("".join(kept[:9]) + kept[9][:20])
    (part / "baseline-random.jsonl").unlink()
    record = json.loads((part / "search.json").read_text())
    (part / "search.json").write_text(json.dumps({**record, "state": "running"}))

    ran = dime("bo", run, "--resume", "--quiet")
    assert (ran.code, ran.err) == (0, "")
    for name in ("results.jsonl", "baseline-random.jsonl"):
        assert found(whole / name) == found(part / name)
    assert (
        dime("bo", run, "--resume").err
        == f"Error: --resume: run {run} has no unfinished search; without --resume a new one begins\n"
    )


def test_other_options_are_refused_beside_resume(dime: Dime, run: str) -> None:
    assert dime("bo", *SMALL, "--search", "pcfg", "--baselines", "", "--quiet").code == 0
    file = Path("runs", run, "bo", "001-pcfg", "search.json")
    file.write_text(json.dumps({**json.loads(file.read_text()), "state": "running"}))
    ran = dime("bo", "--resume", "--batch", "5")
    assert (ran.code, ran.err) == (2, "Error: --resume 001-pcfg: --batch was 4 and is 5 now; it cannot change\n")


@pytest.mark.parametrize(
    ("problem", "again"),
    [
        ({"name": "python", "function": "/evil.py:f"}, "--problem python --function /evil.py:f"),
        ({"name": "command", "command": "touch executed"}, "--problem command --command 'touch executed'"),
    ],
)
@pytest.mark.parametrize("more", [(), ("--dry-run",), ("--problem", "python"), ("--problem", "command")])
def test_a_record_is_not_trusted_with_code(
    dime: Dime, run: str, problem: dict[str, str], again: str, more: tuple[str, ...]
) -> None:
    """A folder may be a stranger's: what it would execute has to be said by the user."""
    Path("evil.py").write_text("open('executed', 'w')\n\ndef f(sentence):\n    return 0.0\n")
    assert dime("bo", *SMALL, "--search", "pcfg", "--baselines", "", "--quiet").code == 0
    file = Path("runs", run, "bo", "001-pcfg", "search.json")
    record = json.loads(file.read_text())
    here = {key: value.replace("/evil.py", str(Path("evil.py").absolute())) for key, value in problem.items()}
    config = {**record["config"], "problem": {**here, "direction": "max"}}
    file.write_text(json.dumps({**record, "config": config, "state": "running"}))
    ran = dime("bo", "--resume", *more)
    assert ran.code == 2
    told = again.replace("/evil.py", str(Path("evil.py").absolute()))
    assert ran.err == f"Error: --resume 001-pcfg: it calls code that a record is not trusted with; say again {told}\n"
    assert not Path("executed").exists()


def test_the_run_is_the_newest_of_the_grammar(dime: Dime, run: str) -> None:
    shutil.copytree(Path("runs", run), Path("runs", "other"))
    file = Path("runs", "other", "run.json")
    record = json.loads(file.read_text())
    record["config"]["dataset"]["grammar"] = "expressions-infix"
    file.write_text(json.dumps({**record, "created": "2999"}))
    assert dime("bo", "--dry-run").err == f"Would search {Path('runs/other')}\n"
    assert dime("bo", "--grammar", "expressions", "--dry-run").err == f"Would search {Path('runs', run)}\n"
    assert dime("bo", run, "--dry-run").err == f"Would search {Path('runs', run)}\n"
    refused = dime("bo", "other", "--grammar", "expressions")
    assert refused.code == 2
    assert "--grammar expressions: run other is of grammar 'expressions-infix'" in refused.err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("--problem nowhere.py:f", "nowhere.py:f: cannot be read (No such file or directory)"),
        ("--problem mine.py:longes", "the file has no such function. Did you mean 'longest'? Known: longest, two."),
        ("--problem mine.py:two", "mine.py:two: must take a sentence, and nothing else (missing a required argument"),
        ("--problem=cmd:nowhere", "--command: no program 'nowhere' that can be run"),
        ("--problem expression-regresion", "no problem named 'expression-regresion'. Did you mean 'expression-re"),
        ("--problem python", "--problem FILE.py:FUNCTION"),
        ("--problem mine.py:longest --direction up", "--direction: should be 'max' or 'min', got 'up'"),
        ("--problem mine.py:longest --initial-from best", "--initial-from best: it evaluates every training sentence"),
        ("--problem mine.py:longest --executor dusk", "no executor named 'dusk'. Did you mean 'dask'?"),
        ("--target y", "--target 'y': character 1: 'y' is not known."),
        ("--data none.csv", "--data none.csv: cannot be read (No such file or directory)"),
        ("--search bi", "no search named 'bi'. Known: bo, bo-svgp, "),
        ("--search pcfg --kernel ard", "No such option: --kernel. It is an option of search 'bo', 'bo-svgp', "),
        ("--baselines random,pcf", "no search named 'pcf'. Did you mean 'pcfg'?"),
        ("--rounds 0", "--rounds: should be greater than or equal to 1, got '0'"),
        ("--resume", "has no unfinished search; without --resume a new one begins"),
        ("nosuch", "no run 'nosuch' in runs."),
        ("--protocol table9", "no protocol named 'table9'. Did you mean 'table4'? Known: table3, table4."),
        ("--protocol table3 --rounds 5", "No such option: --rounds"),
        ("--grammar bolean", "no grammar and no file named 'bolean'. Did you mean 'boolean'?"),
    ],
)
def test_mistakes(dime: Dime, run: str, words: str, says: str) -> None:
    ran = dime("bo", *words.split())
    assert ran.code == 2
    assert says in ran.err
    assert ran.err.count("\n") == 1
    assert ran.out == ""
    assert not any(Path("runs", run).glob("bo/*"))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("--grammar boolean", "grammar 'boolean' has no problem of its own; name one: --problem FILE.py:FUNCTION"),
        ("--grammar rna --problem nowhere.py:f", "nowhere.py:f: cannot be read"),
        ("--grammar boolean --problem expression-regression", "--target '1/3 + x + sin(x*x)': character 7: 'x' is not"),
        ("--problem mine.py:longest --initial-from best", "--initial-from best: it evaluates every training sentence"),
        ("--problem mine.py:longest --executor ray", "--executor ray"),
        ("--resume", "--resume: there is no run of grammar 'expressions' to go on with"),
    ],
)
def test_mistakes_are_told_before_anything_is_trained(
    dime: Dime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str, says: str
) -> None:
    monkeypatch.setattr("dimecli.api.train_on", lambda *given, **options: pytest.fail("trains"))
    (tmp_path / "mine.py").write_text(MINE)
    ran = dime("bo", *words.split())
    assert ran.code == 2
    assert says in ran.err
    assert ran.err.count("\n") == 1
    assert not Path("runs").exists()


def test_a_run_of_pictures_cannot_be_searched(
    dime: Dime, tmp_path: Path, run_record: Callable[..., dict[str, Any]]
) -> None:
    folder = tmp_path / "runs" / "digits"
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps(run_record()))
    ran = dime("bo", "digits")
    assert ran.code == 2
    assert ran.err == "Error: run digits is of 'dataset', which are no sentences of a grammar\n"
    assert "after training it" in dime("bo", "--dry-run").err  # no run of a grammar is there


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("--problem mine.py:f", "--problem python --function mine.py:f"),
        ("--problem=a/b.py:f", "--problem python --function a/b.py:f"),
        ("--problem cmd:prog", "--problem command --command prog"),
        ("--problem expression-regression --target x", "--problem expression-regression --target x"),
        ("run --problem", "run --problem"),
    ],
)
def test_shorthands_of_problems(typed: str, meant: str) -> None:
    assert list(spelled_out(typed.split())) == meant.split()


PROTOCOL = '''
from pydantic import Field
from dimecli.plugin import Protocol

class Count(Protocol):
    """Counts how often it is run."""

    upto: int = Field(3, ge=1, description="Results.")

    def run(self, lab):
        for number in range(self.upto):
            lab.result(f"number {number}", lambda: {"first": self.upto})
        return "| number |\\n|---|\\n| " + str(lab.result("number 0", dict)["first"]) + " |"
'''


def test_a_protocol_prints_its_report(dime: Dime, install: Callable[..., None]) -> None:
    install("dime-count", "1.0", {"dimecli.protocols": "count = count_mod:Count"}, count_mod=PROTOCOL)
    assert dime("bo", "--protocol", "count", "--dry-run").json["protocol"] == {"name": "count", "upto": 3}
    assert not Path("runs").exists()
    for _ in range(2):
        ran = dime("bo", "--protocol", "count", "--upto", "2")
        assert (ran.code, ran.out) == (0, "| number |\n|---|\n| 2 |\n")
    (report,) = Path("runs").glob("*/report.md")
    assert report.read_text() in ran.out
    assert f"Wrote {report}\n" in ran.err
    refused = dime("bo", "--protocol", "count", "--search", "pcfg")
    assert (refused.code, refused.err.startswith("Error: No such option: --search")) == (2, True)


def test_help_shows_the_options_of_what_is_named(dime: Dime, run: str) -> None:
    assert "--kernel" in (shown := dime("bo", "--help").flat)
    assert "Options of problem 'expression-regression'" in shown
    shown = dime("bo", "--search", "pcfg", "--problem", "mine.py:longest", "--help").flat
    assert "--kernel" not in shown
    assert "Options of problem 'python'" in shown
    assert "Options of executor 'processes'" in shown
    assert "--small" in dime("bo", "--protocol", "table4", "--help").flat
