from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from dimecli.registry import drop_files, forget

# before torch is imported: the models are tiny, and threads that wait for each other cost more than they do
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


class Ran(NamedTuple):
    """What a command line gave."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one JSON value on stdout."""
        return json.loads(self.out)

    @property
    def flat(self) -> str:
        """stdout without line breaks and boxes, which depend on the terminal."""
        return " ".join(self.out.translate(str.maketrans("│╭╮╰╯─", "      ")).split())


@pytest.fixture(scope="session", autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A cache of the tests' own: they never write to the user's."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("DIME_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def run_record() -> Callable[..., dict[str, Any]]:
    """Gives the `run.json` of a run, as small as it may be: `run_record("interrupted", created="2026")`."""
    return _run_record


def _run_record(state: str = "finished", **changes: Any) -> dict[str, Any]:
    kinds = ("objective", "dataset", "network")
    record: dict[str, Any] = {
        "schema": 1,
        "run": "r",
        "state": state,
        "created": "2026-11-20",
        "config": {**{kind: {"name": kind} for kind in kinds}, "train": {}},
        "plugins": {kind: {"distribution": "dimecli", "version": "0.1.0"} for kind in kinds},
        "spec": {"modality": "vector", "shape": [2], "likelihood": {"name": "gaussian"}},
        "data": {"fingerprints": {"train": "0", "validation": "1"}},
        "machine": {"threads": 1},
    }
    if state == "finished":
        record |= {"weights": "2", "results": {"seconds": 61.2, "terms": {"total": 0.5}, "gradient_share": {}}}
    return {**record, **changes}


@pytest.fixture
def dime(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Ran]:
    """Runs a command line in an empty folder: `dime("train", "--epochs", "3")`."""
    from dimecli.cli.app import run

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)  # Typer sets its own
    monkeypatch.setenv("COLUMNS", "200")
    for name in ("DIME_RUNS", "DIME_DATA", "DIME_PLUGINS", "FORCE_COLOR", "GITHUB_ACTIONS"):
        monkeypatch.delenv(name, raising=False)

    def call(*words: str) -> Ran:
        code = run(words)
        drop_files()  # a line is a process of its own
        out, err = capsys.readouterr()
        return Ran(code, out, err)

    return call


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Puts a third-party distribution on `sys.path`: its modules and the metadata that pip would write.

    `install("dime-more", "0.3", {"dimecli.objectives": "mine = mine_mod:Mine"}, mine_mod="...source...")`
    """
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(site)

    def add(name: str, version: str, points: dict[str, str], **modules: str) -> None:
        info = site / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text("".join(f"[{group}]\n{lines}\n" for group, lines in points.items()))
        for module, source in modules.items():
            (site / f"{module}.py").write_text(source)
            monkeypatch.delitem(sys.modules, module, raising=False)
        importlib.invalidate_caches()
        forget()

    yield add
    forget()
    for module in [name for name, module in sys.modules.items() if str(site) in str(getattr(module, "__file__", ""))]:
        del sys.modules[module]
