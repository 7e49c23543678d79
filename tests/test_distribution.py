"""The built distribution: what is in it, and that it declares what the source tree declares."""

import json
import subprocess
import sys
import tomllib
import zipfile
from configparser import ConfigParser
from pathlib import Path

import pytest

from dimecli.plugin import KINDS
from dimecli.registry import registered

ROOT = Path(__file__).parents[1]


def test_what_pyproject_declares_is_installed() -> None:
    """A new entry point needs a new `pip install -e .`."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]
    for kind, base in KINDS.items():
        found = {entry.name: entry.point.value for entry in registered(kind) if entry.distribution == "dimecli"}
        assert found == declared[base.group], "run: pip install -e ."


@pytest.mark.slow
def test_the_wheel_has_three_packages_and_the_same_plugins(tmp_path: Path) -> None:
    build = (sys.executable, "-m", "build", "--wheel", "--no-isolation", "-o", str(tmp_path), str(ROOT))
    subprocess.run(build, check=True, cwd=tmp_path, stdout=subprocess.DEVNULL)
    wheel = next(tmp_path.glob("dimecli-*.whl"))
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        info = next(name for name in names if name.endswith("entry_points.txt"))
        points = ConfigParser(delimiters="=")
        points.optionxform = str  # type: ignore[assignment,method-assign]  # names keep their case
        points.read_string(archive.read(info).decode())
    packages = {name.partition("/")[0] for name in names if ".dist-info/" not in name}
    assert packages == {"dimecli", "dimecli_plugins", "dimecli_grammars"}
    assert {"dimecli/py.typed", "dimecli_plugins/py.typed"} <= set(names)
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]
    assert {group: dict(points[group]) for group in declared} == declared

    site = tmp_path / "site"
    pip = (sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(site))
    subprocess.run([*pip, str(wheel)], check=True)
    code = f"import sys; sys.path.insert(0, {str(site)!r}); from dimecli.cli import main; main(['plugins', '--json'])"
    printed = subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path, stdout=subprocess.PIPE).stdout
    assert [(row["kind"], row["name"], row["error"]) for row in json.loads(printed)] == [
        (entry.kind, entry.name, None) for kind in KINDS for entry in registered(kind)
    ]
