"""The folder of a search inside its run, `bo/001-NAME`: what was asked for, and the logs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from dimecli.errors import DimeError, UserError
from dimecli.lazy import torch
from dimecli.plugin import Density, Plugin, Problem, Search
from dimecli.registry import entry_of, find
from dimecli.run.files import file_hash, write_json
from dimecli.run.lock import is_locked, lock
from dimecli.run.origin import require
from dimecli.run.run import Run
from dimecli.search.log import Log
from dimecli.search.settings import SearchSettings

SCHEMA = 1
_DECIDING = set(SearchSettings.model_fields) - {"rounds", "timeout"}  # those may be raised for what is left


@dataclass(frozen=True)
class SearchFolder:
    """A search on the disk, locked by this process.

    Args:
        path: The folder, absolute: the problem may change to another one.
        record: What `search.json` says.
    """

    path: Path
    record: dict[str, Any]

    def log(self, baseline: str | None = None) -> Log:
        """The log of the search, `results.jsonl`, or that of a baseline, `baseline-NAME.jsonl`.

        Raises:
            DimeError: it is damaged; names the line.
        """
        return Log(self.path / (f"baseline-{baseline}.jsonl" if baseline else "results.jsonl"))

    def finish(self, results: dict[str, Any]) -> None:
        """Note the results, JSON values; the search cannot be resumed any more."""
        write_json(self.path / "search.json", {**self.record, "state": "finished", "results": results})


def describe(run: Run, problem: Problem, search: Search, density: Density, settings: SearchSettings) -> dict[str, Any]:
    """What `search.json` keeps: every option, where the plugins come from, and the SHA-256 of the problem's files.

    Raises:
        DimeError: a file of the problem cannot be read.
    """
    plugins: dict[str, Plugin] = {"problem": problem, "search": search, "density": density}
    names = {kind: _name_and_origin(plugin) for kind, plugin in plugins.items()}
    config = {kind: {"name": names[kind][0], **plugin.options()} for kind, plugin in plugins.items()}
    return {
        "run": run.path.name,
        "weights": run.record["weights"],
        "config": {**config, "bo": settings.options()},
        "plugins": {kind: origin for kind, (_, origin) in names.items()},
        "files": {str(file.absolute()): file_hash(file) for file in problem.files},
        "threads": torch.get_num_threads(),  # another number gives other bits
    }


@contextmanager
def create_search(run_path: Path, about: dict[str, Any]) -> Iterator[SearchFolder]:
    """A new folder for the search that `describe` described; never one that exists.

    Raises:
        DimeError: the system refused.
    """
    path = _claim(run_path.absolute() / "bo", about["config"]["search"]["name"].rpartition(":")[2])
    created = datetime.now().astimezone().isoformat(timespec="seconds")
    record = {"schema": SCHEMA, "search": path.name, "state": "running", "created": created, **about}
    with lock(path, "searched"):
        write_json(path / "search.json", record)
        yield SearchFolder(path, record)


@contextmanager
def resume_search(path: Path, about: dict[str, Any]) -> Iterator[SearchFolder]:
    """Go on with the search in a folder; only its rounds and its timeout may be others than before.

    Raises:
        UserError: it is finished, another process works on it, or an option differs that decides the candidates.
        DimeError: its record is damaged.
    """
    path = path.absolute()
    with lock(path, "searched"):
        record = read_search(path)
        if record["state"] == "finished":
            raise UserError(f"--resume {path.name}: it is finished; without --resume a new search begins")
        if record["weights"] != about["weights"]:
            raise UserError(f"--resume {path.name}: it searched run {record['run']}, which had other weights")
        for file, content in record["files"].items():
            if about["files"].get(file, content) != content:
                raise UserError(f"--resume {path.name}: {file} changed since; without --resume a new search begins")
        for table, options in about["config"].items():
            _refuse_changes(path.name, table, record["config"][table], options)
        record |= about
        write_json(path / "search.json", record)
        yield SearchFolder(path, record)


def read_search(path: Path) -> dict[str, Any]:
    """What the `search.json` of a folder says; `config` has the tables problem, search, density and bo.

    Raises:
        DimeError: it cannot be read, is damaged, or was written by another version.
    """
    file = path / "search.json"
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
        schema, config = record["schema"], record["config"]
        named = all(isinstance(config[kind]["name"], str) for kind in ("problem", "search", "density"))
        whole = (
            named
            and isinstance(config["bo"], dict)
            and isinstance(record["files"], dict)
            and {"state", "run", "weights", "files", "threads"} <= record.keys()
        )
    except OSError as error:
        raise DimeError(f"{file} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError, LookupError, TypeError) as error:
        raise DimeError(f"{file} is damaged: {type(error).__name__}: {error}") from error
    if schema != SCHEMA:
        raise DimeError(f"{file} has schema {schema}, this dimecli reads {SCHEMA}; use the version that wrote it")
    if not whole:
        raise DimeError(f"{file} is damaged: it is no record of a search")
    return record  # type: ignore[no-any-return]


def require_plugins(path: Path, record: dict[str, Any]) -> None:
    """Make sure that the plugins of a search are there, as they were, to go on with it.

    Raises:
        UserError: one is not; says what to install, or which file to give.
    """
    for kind, origin in record.get("plugins", {}).items():
        if not isinstance(origin, dict):  # of nobody; or told in words, as earlier records do
            continue
        name = record["config"][kind]["name"]
        require(f"search {path.name}", origin, kind, name)
        if "file" in origin and find(kind, name).version != origin["sha256"]:
            file = Path(origin["file"]).name
            raise UserError(f"--resume {path.name}: {file} changed since; without --resume a new search begins")


def find_search(run_path: Path) -> Path:
    """The folder of the run's newest search that is neither finished nor worked on.

    Raises:
        UserError: there is none.
        DimeError: the record of a newer one is damaged.
    """
    for _, path in sorted(_numbered(run_path / "bo"), reverse=True):
        begun = (path / "search.json").exists()  # a kill may come before
        if begun and read_search(path)["state"] != "finished" and not is_locked(path):
            return path
    raise UserError(f"--resume: run {run_path.name} has no unfinished search; without --resume a new one begins")


def _claim(folder: Path, name: str) -> Path:
    """An empty folder that no other process has."""
    try:
        folder.mkdir(exist_ok=True)
        number = max((number for number, _ in _numbered(folder)), default=0)
        while True:
            number += 1
            path = folder / f"{number:03d}-{name}"
            with suppress(FileExistsError):
                path.mkdir()
                return path
    except OSError as error:
        raise DimeError(f"cannot write into {folder}: {error.strerror}") from error


def _numbered(folder: Path) -> list[tuple[int, Path]]:
    paths = folder.iterdir() if folder.is_dir() else ()
    return [(int(found[0]), path) for path in paths if (found := re.match(r"[0-9]+(?=-)", path.name))]


def _name_and_origin(plugin: Plugin) -> tuple[str, dict[str, Any] | None]:
    """The registered name of a plugin with where it comes from, or the address of a class of nobody's."""
    try:
        entry = entry_of(plugin)
    except UserError:
        return f"{type(plugin).__module__}:{type(plugin).__qualname__}", None
    return entry.name, entry.record


def _refuse_changes(search: str, table: str, before: dict[str, Any], now: dict[str, Any]) -> None:
    options = _DECIDING if table == "bo" else before.keys() | now.keys()
    for option in sorted(options, key=lambda option: (option != "name", option)):
        was, given = before.get(option), now.get(option)
        if was != given:
            flag = table if option == "name" else option.replace("_", "-")
            raise UserError(f"--resume {search}: --{flag} was {was!r} and is {given!r} now; it cannot change")
