"""`dime plugins new`: what it writes works, and it writes nothing that it should not."""

from __future__ import annotations

import ast
import json
import os
import shlex
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest

from dimecli.cli import plugins
from dimecli.errors import DimeError, UserError
from dimecli.lazy import np
from dimecli.plugin import KINDS
from dimecli.registry import make, names
from dimecli.scaffold import new
from dimecli.scaffold.licences import LICENCES
from dimecli.scaffold.new import next_steps, write_distribution
from dimecli.testing import check_plugin


def project_of(folder: Path) -> dict[str, Any]:
    return tomllib.loads((folder / "pyproject.toml").read_text())


def everything(folder: Path) -> dict[Path, bytes]:
    return {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def install_written(install: Callable[..., None], folder: Path, site: Path) -> None:
    """Puts what was written where pip would put it."""
    project = project_of(folder)["project"]
    points = project["entry-points"]
    lines = {group: "\n".join(f"{name} = {value}" for name, value in found.items()) for group, found in points.items()}
    install(project["name"], project["version"], lines, **{file.stem: file.read_text() for file in folder.glob("*.py")})
    for file in folder.glob("*.cfg"):
        (site / file.name).write_text(file.read_text())


@pytest.mark.parametrize("kind", KINDS)
def test_the_plugin_of_each_kind_keeps_its_promises(
    kind: str, install: Callable[..., None], dime: Callable[..., Any], tmp_path: Path
) -> None:
    name, folder = f"my-new-{kind}", tmp_path / "new"
    written = write_distribution(kind, name, folder)
    assert all(file.is_file() for file in written)
    module = folder / f"dime_my_new_{kind}.py"
    assert {module, folder / "tests" / f"test_my_new_{kind}.py", folder / "README.md", folder / "LICENSE"} <= {*written}
    for file in written:
        text = file.read_text()
        assert "example" not in text.lower()
        if file.suffix == ".py":
            ast.parse(text)
    value = f"dime_my_new_{kind}:MyNew{kind.capitalize()}"
    assert project_of(folder)["project"]["entry-points"] == {KINDS[kind].group: {name: value}}

    install_written(install, folder, tmp_path / "site")
    assert check_plugin(kind, name) is None
    *_, use = next_steps(kind, name, folder)
    shown = dime(*shlex.split(use)[1:], "--dry-run" if kind == "grammar" else "--help")
    assert shown.code == 0
    assert name in shown.flat


def test_a_grammar_and_its_problem_live_in_one_distribution(install: Callable[..., None], tmp_path: Path) -> None:
    folder = tmp_path / "tunes"
    write_distribution("grammar", "tune", folder)
    before = (folder / "pyproject.toml").read_text()
    written = write_distribution("problem", "mirror", folder)
    names_of_files = {"dime_mirror.py", "tests/test_mirror.py", "pyproject.toml"}
    assert {file.relative_to(folder).as_posix() for file in written} == names_of_files
    after = (folder / "pyproject.toml").read_text()
    added = '\n[project.entry-points."dimecli.problems"]\nmirror = "dime_mirror:Mirror"\n'
    assert after.replace(added, "", 1) == before

    install_written(install, folder, tmp_path / "site")
    language, problem = make("grammar", "tune"), make("problem", "mirror", length=3)
    grammar = language.compile()
    drawn = grammar.unparse_all(grammar.sample(20, np.random.default_rng(0), "length"))
    assert all(-1 <= value <= 1 for value in problem.evaluate(drawn, language))
    assert problem.evaluate(["aba", "abc"], language) == [1, pytest.approx(1 / 3)]


def test_a_further_plugin_of_a_kind_gets_the_last_line_of_its_table(tmp_path: Path) -> None:
    write_distribution("metric", "one", tmp_path)
    file = tmp_path / "pyproject.toml"
    text = file.read_text().replace("\n# All", "\n[project.urls]\nHome = 'https://a.org'  # mine\n\n# All")
    file.write_bytes(text.replace("\n", "\r\n").encode())
    write_distribution("metric", "two", tmp_path)
    found = file.read_bytes().decode()
    assert found.replace('two = "dime_two:Two"\r\n', "") == text.replace("\n", "\r\n")
    points = project_of(tmp_path)["project"]["entry-points"]["dimecli.metrics"]
    assert points == {"one": "dime_one:One", "two": "dime_two:Two"}


@pytest.mark.parametrize("name", ["", "Upper", "1st", "a_b", "a--b", "a-", "-a", "ä", "a b", "../a", "a\n"])
def test_names_that_make_no_plugin_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="small letters and digits"):
        write_distribution("objective", name, tmp_path / "new")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("kind", "name"), [("objective", "loss"), ("objective", "none"), ("metric", "metric"), ("dataset", "exception")]
)
def test_names_whose_class_is_taken_are_refused(kind: str, name: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"{name.capitalize()}, which is taken"):
        write_distribution(kind, name, tmp_path / "new")


@pytest.mark.parametrize("file", ["README.md", "dime_mine.py", "tests/test_mine.py", "LICENSE", "tests"])
def test_nothing_is_overwritten(file: str, tmp_path: Path) -> None:
    mine = tmp_path / file
    mine.parent.mkdir(exist_ok=True)
    mine.write_text("mine")
    with pytest.raises(UserError, match=r"is there already|is a file"):
        write_distribution("objective", "mine", tmp_path)
    assert everything(tmp_path) == {mine: b"mine"}


def test_a_name_that_the_distribution_has_is_refused(tmp_path: Path) -> None:
    write_distribution("search", "climb", tmp_path)
    (tmp_path / "dime_climb.py").rename(tmp_path / "dime_other.py")
    before = everything(tmp_path)
    with pytest.raises(UserError, match="has search 'climb' already"):
        write_distribution("search", "climb", tmp_path)
    assert everything(tmp_path) == before


SHIPPED = '[tool.hatch.build.targets.wheel]\ninclude = ["/dime_*"]\n'


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a = ", "is no TOML"),
        ("[tool.ruff]\n", r"no table \[project\]"),
        ("[project]\nname = 'a'\n", "does not ship modules called dime_"),
        ("[project]\nname = 'a'\n[tool.hatch.build.targets.wheel]\nonly-include = ['a.py']\n", "does not ship"),
        ("[project]\nentry-points = {'dimecli.searches' = {a = 'b:C'}}\n" + SHIPPED, "tables of their own"),
        ("[project.entry-points]\n'dimecli.searches'.a = 'b:C'\n" + SHIPPED, "tables of their own"),
    ],
)
def test_a_project_of_another_make_is_told_what_it_lacks(text: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(text)
    before = everything(tmp_path)
    with pytest.raises(UserError, match=reason):
        write_distribution("search", "climb", tmp_path)
    assert everything(tmp_path) == before


@pytest.mark.parametrize("there", [False, True], ids=["new", "added"])
def test_nothing_is_left_where_writing_fails(there: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "new"
    if there:
        write_distribution("search", "climb", folder)
    before = everything(tmp_path)
    write = new._write_text

    def fail(path: Path, text: str) -> None:
        if path.name == "pyproject.toml":
            raise DimeError("no space left")
        write(path, text)

    monkeypatch.setattr(new, "_write_text", fail)
    with pytest.raises(DimeError, match="no space left"):
        write_distribution("metric", "mine", folder)
    assert everything(tmp_path) == before
    assert folder.exists() == there


def test_the_command_offers_the_licences_that_there_are() -> None:
    assert {*get_args(plugins.License)} == {*LICENCES}


@pytest.mark.parametrize("licence", LICENCES)
def test_the_licence_is_in_the_project_and_in_a_file(licence: str, tmp_path: Path) -> None:
    author = 'Ada "A." Löv\\ace'
    write_distribution("objective", "mine", tmp_path, licence, author)
    project = project_of(tmp_path)["project"]
    assert project["authors"] == [{"name": author}]
    assert project.get("license") == LICENCES[licence]
    assert (tmp_path / "LICENSE").exists() == (licence != "none")
    if licence != "none":
        assert author in (tmp_path / "LICENSE").read_text()


@pytest.mark.parametrize("author", ["", " ", "two\nlines", "bell\x07"])
def test_an_author_is_a_name_in_one_line(author: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="should be a name"):
        write_distribution("objective", "mine", tmp_path / "new", author=author)
    assert not (tmp_path / "new").exists()


def test_a_distribution_keeps_its_author(tmp_path: Path) -> None:
    write_distribution("objective", "mine", tmp_path)
    with pytest.raises(UserError, match="says already who"):
        write_distribution("metric", "other", tmp_path, author="Ada")


def test_the_steps_can_be_copied_as_they_are() -> None:
    assert next_steps("density", "mine") == [
        "pip install -e ./dime-mine",
        "dime plugins check density mine",
        "dime train",
        "dime sample --density mine",
    ]
    folder = "/tmp/two words"
    assert shlex.split(next_steps("metric", "mine", Path(folder))[0]) == ["pip", "install", "-e", folder]
    assert next_steps("metric", "mine", Path())[0] == "pip install -e ."


def test_the_command_writes_and_says_what_comes_next(dime: Callable[..., Any], tmp_path: Path) -> None:
    taken = names("objective")[0]
    ran = dime("plugins", "new", "objective", taken)
    assert ran.code == 0
    assert Path(f"dime-{taken}/pyproject.toml") in map(Path, ran.out.splitlines())
    assert "has the name too" in ran.err
    assert f"pip install -e ./dime-{taken}" in ran.err
    again = dime("plugins", "new", "metric", "loss", f"dime-{taken}/README.md")
    assert again.code == 2
    assert "is a file" in again.err


@pytest.mark.slow
def test_a_distribution_of_every_kind_builds_installs_and_passes_its_own_tests(tmp_path: Path) -> None:
    folder, site = tmp_path / "all", tmp_path / "site"
    for kind in KINDS:
        write_distribution(kind, f"my-{kind}", folder)
    build = (sys.executable, "-m", "build", "--no-isolation", "-o", str(tmp_path), str(folder))
    subprocess.run(build, check=True, cwd=tmp_path, stdout=subprocess.DEVNULL)  # the wheel is built from the sdist
    wheel = next(tmp_path.glob("*.whl"))
    with zipfile.ZipFile(wheel) as archive:
        modules = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert modules == {f"dime_my_{kind}.py" for kind in KINDS} | {"dime_my_grammar.cfg"}
    pip = (sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index", "--no-build-isolation", "--target")
    subprocess.run([*pip, str(site), str(wheel)], check=True)
    environment = {**os.environ, "PYTHONPATH": str(site)}
    pytest_ = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", str(folder / "tests")]
    subprocess.run(pytest_, check=True, cwd=tmp_path, env=environment)

    editable = tmp_path / "editable"
    subprocess.run([*pip, str(editable), "-e", str(folder)], check=True)
    code = (
        f"import site, sys; site.addsitedir({str(editable)!r}); from dimecli.cli import main; "
        "main(['plugins', 'list', '--json'])"
    )
    printed = subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path, stdout=subprocess.PIPE).stdout
    rows = [row for row in json.loads(printed) if row["origin"].startswith("dime-my-")]
    assert [(row["kind"], row["name"], row["error"]) for row in rows] == [(kind, f"my-{kind}", None) for kind in KINDS]
