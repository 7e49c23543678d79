"""The examples work as their texts say; distributions are built and installed as a stranger would."""

import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dimecli.registry import make
from dimecli.testing import check_file, check_plugin

EXAMPLES = Path(__file__).parents[2] / "examples"
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}
NEEDS = {"dime-cmaes": "cmaes", "dime-parquet": "pyarrow"}
"""What an example depends on beyond dimecli."""
DISTRIBUTIONS = sorted(path.parent.name for path in EXAMPLES.glob("*/pyproject.toml"))
PAGES = sorted(EXAMPLES.glob("**/README.md"))


def project(name: str) -> dict[str, Any]:
    table: dict[str, Any] = tomllib.loads((EXAMPLES / name / "pyproject.toml").read_text())["project"]
    return table


def needs(name: str) -> None:
    """Skips the test where the example's own dependency is not installed."""
    if name in NEEDS:
        pytest.importorskip(NEEDS[name])


@pytest.fixture
def installed(install: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Puts an example's folder on the path, and its metadata beside it, without building anything."""
    before = set(sys.modules)

    def add(name: str) -> None:
        table = project(name)
        groups = {group: "\n".join(map(" = ".join, points.items())) for group, points in table["entry-points"].items()}
        monkeypatch.syspath_prepend(EXAMPLES / name)
        install(name, table["version"], groups)

    yield add
    for module in set(sys.modules) - before:
        if str(EXAMPLES) in str(getattr(sys.modules[module], "__file__", "")):
            del sys.modules[module]


def plugins_of(name: str) -> list[tuple[str, str]]:
    """Kind and name of each plugin of a distribution."""
    kinds = {"dimecli.grammars": "grammar", "dimecli.searches": "search"}
    return [
        (kinds.get(group, group.removeprefix("dimecli.").removesuffix("s")), plugin)
        for group, points in project(name)["entry-points"].items()
        for plugin in points
    ]


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_the_plugins_of_distributions_keep_their_contract(name: str, installed: Callable[[str], None]) -> None:
    needs(name)
    installed(name)
    for kind, plugin in plugins_of(name):
        untried = check_plugin(kind, plugin)
        assert untried is None or "no such file" in untried  # of data that is the user's own


def test_the_plugins_of_the_loose_file_keep_their_contract() -> None:
    assert check_file(EXAMPLES / "experiment" / "own.py") is None


def test_the_experiment(dime: Callable[..., Any]) -> None:
    """Its file loads the plugins beside it; what is measured gets better by its objective."""
    file, own = (str(EXAMPLES / "experiment" / name) for name in ("experiment.toml", "own.py"))

    def correlation(weight: str) -> float:
        trained = dime("train", "--config", file, "--lambda", weight, "--epochs", "5", "--json", "--quiet")
        assert trained.code == 0, trained.err
        assert set(trained.json["terms"]) == {"reconstruction", "covariance", "total"}
        measured = dime("evaluate", "--plugin", own, "--metric", "code-correlation", "--json", "--quiet")
        assert measured.code == 0, measured.err
        return float(measured.json["metrics"][0]["value"])

    assert correlation("0.1") < 0.8 * correlation("0")


def test_the_search_finds_conditions(dime: Callable[..., Any], installed: Callable[[str], None]) -> None:
    installed("dime-sql")
    trained = dime("train", "--grammar", "where", "--size", "200", "--epochs", "1", "--json", "--quiet")
    assert trained.code == 0, trained.err
    searched = dime("bo", "--search", "evolve", "--rounds", "1", "--batch", "5", "--initial", "20", "--json", "--quiet")
    assert searched.code == 0, searched.err
    best = searched.json["best"][0]
    problem, language = make("problem", "f1"), make("grammar", "where")
    assert problem.evaluate([best["sentence"]], language) == [pytest.approx(best["value"])]


def test_each_example_is_in_the_table_and_has_a_page() -> None:
    table = re.findall(r"^\| \[`([\w.-]+)`\]\(\1\) \|", (EXAMPLES / "README.md").read_text(), flags=re.MULTILINE)
    assert sorted(table) == sorted({*DISTRIBUTIONS, "experiment", "python_api.py"})
    assert {page.parent.name for page in PAGES} == {*DISTRIBUTIONS, "experiment", "examples"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.parent.name)
def test_commands_of_the_pages_are_understood(
    page: Path, dime: Callable[..., Any], installed: Callable[[str], None], tmp_path: Path
) -> None:
    name = page.parent.name
    if name in DISTRIBUTIONS:
        needs(name)
        installed(name)
    (tmp_path / "examples").symlink_to(EXAMPLES)
    (tmp_path / "goods.csv").write_text("price,weight,colour,size,in_stock,sold\n30,5,red,small,1,1\n")
    text = page.read_text()
    for code in re.findall(r"```python\n(.+?)```", text, flags=re.DOTALL):
        exec(code, {})
    lines = re.findall(r"^(?:\$ )?(dime (?:train|bo) .*?) *(?:#.*)?$", text, flags=re.MULTILINE)
    assert lines or name == "examples"
    for line in lines:
        ran = dime(*shlex.split(line)[1:], "--dry-run")
        assert ran.code == 0, f"{line}: {ran.err}"


def run(*command: str, cwd: Path, **environment: str) -> str:
    return subprocess.run(
        command, check=True, cwd=cwd, env={**ENVIRONMENT, **environment}, text=True, stdout=subprocess.PIPE
    ).stdout


def built(name: str, folder: Path) -> str:
    """The folder that the example's wheel is built and installed into."""
    source, site = EXAMPLES / name, folder / "site"
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "-o", str(folder), str(source), cwd=folder)
    wheel = next(folder.glob("*.whl"))
    pip = (sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(site))
    run(*pip, str(wheel), cwd=folder)
    return os.pathsep.join(filter(None, (str(site), ENVIRONMENT.get("PYTHONPATH", ""))))


@pytest.mark.slow
@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_distributions_pass_their_own_tests(name: str, tmp_path: Path) -> None:
    needs(name)
    tests = (sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider")
    printed = run(*tests, str(EXAMPLES / name / "tests"), cwd=tmp_path, PYTHONPATH=built(name, tmp_path))
    assert re.search(r"^\d+ passed in", printed, flags=re.MULTILINE)


@pytest.mark.slow
def test_the_third_party_distribution(tmp_path: Path) -> None:
    """It is listed, trained and sampled; its run says what is missing once it is gone."""
    path = built("dime-hello", tmp_path)

    def dime(*words: str) -> str:
        return run(sys.executable, "-m", "dimecli", *words, cwd=tmp_path, PYTHONPATH=path)

    rows = {(row["kind"], row["name"]): row for row in json.loads(dime("plugins", "--json"))}
    assert rows["objective", "hello"]["origin"] == "dime-hello 0.1.0"
    assert "--sparsity" in dime("train", "hello", "--help")
    trained = json.loads(dime("train", "hello", "--sparsity", "0.1", "--epochs", "3", "--json", "--quiet"))
    assert set(trained["terms"]) == {"reconstruction", "sparsity", "total"}
    sampled = json.loads(dime("sample", "--density", "gmm", "-n", "4", "--json", "--quiet"))
    assert all((tmp_path / file).exists() for file in sampled["files"])

    record = next(tmp_path.glob("runs/*/run.json"))
    assert json.loads(record.read_text())["plugins"]["objective"]["distribution"] == "dime-hello"
    gone = subprocess.run(
        [sys.executable, "-m", "dimecli", "sample"], cwd=tmp_path, env=ENVIRONMENT, text=True, stderr=subprocess.PIPE
    )
    assert gone.returncode == 2
    assert gone.stderr.count("\n") == 1
    assert "needs the objective 'hello' of dime-hello 0.1.0: pip install dime-hello" in gone.stderr


@pytest.mark.slow
def test_the_python_example(tmp_path: Path) -> None:
    (tmp_path / "examples").symlink_to(EXAMPLES)
    printed = run(sys.executable, "-W", "error", "examples/python_api.py", cwd=tmp_path)
    assert "samples (16, 1, 8, 8)" in printed
    assert "longest 1.000" in printed
    correlations = [float(number) for number in re.findall(r"correlation of the dimensions ([\d.]+)", printed)]
    assert correlations[1] < correlations[0]
