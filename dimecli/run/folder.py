"""The run folder: named, listed, found, and described by its `run.json`."""

from __future__ import annotations

import json
import os
import shlex
import shutil
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from dimecli.errors import DimeError, UserError, did_you_mean
from dimecli.run.files import write_json
from dimecli.run.lock import is_locked
from dimecli.run.record import Record, check

SCHEMA = 1
PAGE = "report.html"


def runs_folder(runs: str | Path | None = None) -> Path:
    """The folder that holds the runs: the one given, `$DIME_RUNS`, or `runs`."""
    return Path(runs or os.environ.get("DIME_RUNS", "runs"))


def create_run(runs: Path, label: str) -> Path:
    """A new, empty folder such as `2026-11-20-dime-digits-1`; never one that exists.

    Raises:
        UserError: the folder cannot be made there.
    """
    stem = f"{datetime.now().astimezone():%Y-%m-%d}-{label}"
    number = 1
    try:
        runs.mkdir(parents=True, exist_ok=True)
        while True:
            path = runs / f"{stem}-{number}"
            try:
                path.mkdir()
                return path
            except FileExistsError:
                number += 1
    except OSError as error:
        raise UserError(f"--runs {runs}: cannot make a run folder there: {error.strerror}") from error


def write_record(path: Path, record: Record) -> None:
    """Make the folder a run: write its first `run.json`."""
    now = datetime.now().astimezone().isoformat(timespec="microseconds")
    write_json(path / "run.json", {"schema": SCHEMA, "run": path.name, "state": "running", "created": now, **record})


def read_record(path: Path) -> Record:
    """The checked `run.json` of a run; a run that stopped without a word reads as interrupted.

    Raises:
        UserError: there is no run at that path.
        DimeError: the record is damaged, or written by another version's schema.
    """
    file = path / "run.json"
    record = _parse(file)
    if record["schema"] != SCHEMA:
        schema = record["schema"]
        raise DimeError(f"{file} has schema {schema}, this dimecli reads {SCHEMA}; use the version that wrote it")
    check(record, file)
    if record["state"] == "running" and not is_locked(path):
        record["state"] = "interrupted"
    return record


def _parse(file: Path) -> Record:
    try:
        if not file.is_file():
            raise UserError(f"{file.parent} is no run: it has no run.json")
        record = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise DimeError(f"{file} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise DimeError(f"{file} is damaged: {error}") from error
    if not (isinstance(record, dict) and "schema" in record):
        raise DimeError(f"{file} is damaged: it is no record of a run, which has a schema")
    return record


def update_record(path: Path, **changes: object) -> None:
    """Replace keys of a run's record, atomically."""
    record = json.loads((path / "run.json").read_text(encoding="utf-8"))
    write_json(path / "run.json", {**record, **changes})


def list_runs(runs: Path) -> list[Record]:
    """A row per run, oldest first: run, state, objective, dataset, network, grammar, created, seconds, error.

    `grammar` is the dataset's option of that name, where the run is of sentences: a name, or a file's path.
    A run whose record cannot be used is in the state "damaged", with the reason as its error.

    Raises:
        UserError: the folder cannot be read.
    """
    try:
        paths = [path for path in runs.iterdir() if _is_run(path)] if runs.is_dir() else []
    except OSError as error:
        raise UserError(f"--runs {runs}: cannot be read: {error.strerror}") from error
    rows = []
    for path in paths:
        row: Record = {"run": path.name, "state": "damaged", "error": None}
        try:
            record = read_record(path)
            names = {kind: record["config"][kind]["name"] for kind in ("objective", "dataset", "network")}
            row |= {"state": record["state"], **names, "created": record["created"]}
            row["grammar"] = record["config"]["dataset"].get("grammar") if _has_sentences(record) else None
            row |= {"seconds": record.get("results", {}).get("seconds"), "error": record.get("error")}
        except DimeError as error:
            row["error"] = str(error)
        rows.append(row)
    return sorted(rows, key=lambda row: (row.get("created", ""), row["run"]))


def _is_run(path: Path) -> bool:
    """Whether the folder is a run, or may be one: its files are somebody else's secret."""
    try:
        return not path.name.startswith(".") and (path / "run.json").is_file()
    except PermissionError:
        return True


def _has_sentences(record: Record) -> bool:
    return bool(record["spec"]["modality"] == "sentence")


def newest_run(runs: Path, grammar: str | None = None) -> Path | None:
    """The folder of the newest finished run, of that grammar (a name or a file) if one is given; None without any."""
    wanted = {grammar, grammar and os.path.abspath(os.path.expanduser(grammar))}
    finished = [row for row in list_runs(runs) if row["state"] == "finished"]
    fitting = [row["run"] for row in finished if grammar is None or row["grammar"] in wanted]
    return runs / str(fitting[-1]) if fitting else None


def find_run(run: str | None, runs: Path, grammar: str | None = None) -> Path:
    """The folder of a run by its name inside `runs` or by its path; without one, the newest that is finished.

    Args:
        run: Name, path or None.
        runs: The folder that holds the runs.
        grammar: The newest run of this grammar, a name or a file; has no say where a run is named.

    Raises:
        UserError: there is no such run.
    """
    if run is None:
        if newest := newest_run(runs, grammar):
            return newest
        of, how = (f" of grammar '{grammar}'", f" --grammar {shlex.quote(grammar)}") if grammar else ("", "")
        raise UserError(f"no finished run{of} in {runs}; train one first: dime train{how}")
    for path in (runs / run, Path(run)):
        if _is_run(path):
            return path
    if Path(run).is_file():
        raise UserError(f"{run} is a file; allowed: the name of a run, or its folder")
    known = [row["run"] for row in list_runs(runs)]
    raise UserError(f"no run '{run}' in {runs}.{did_you_mean(run, known)}")


def find_runs(named: Sequence[str], runs: Path) -> list[Path]:
    """The folders of runs by their names or paths; a page of `dime report` beside them, as in `runs/*`, is left out.

    Raises:
        UserError: there is no such run, or only pages were named.
    """
    pages = [name for name in named if Path(name).name == PAGE and Path(name).is_file()]
    return [find_run(name, runs) for name in named if name not in pages or len(pages) == len(named)]


def remove_run(path: Path) -> None:
    """Delete a run's folder, unless a process still trains it, or searches in it.

    Raises:
        UserError: the run is being trained or searched, or the folder is no run.
        DimeError: the system does not allow it; the run still stands.
    """
    whole = path.resolve()
    folders = [whole, *(Path(folder, name) for folder, names, _ in os.walk(whole) for name in names)]
    locked = [folder for folder in folders if not os.access(folder, os.R_OK | os.W_OK | os.X_OK)]
    if locked:
        raise DimeError(f"cannot delete {path}: no permission to change {locked[0]}")
    try:
        _parse(path / "run.json")
    except UserError:
        raise
    except DimeError as error:
        raise UserError(f"{error}; if it was a run, delete {path} by hand") from error
    if busy := [folder for folder in folders if is_locked(folder)]:  # searches have locks of their own
        doing = "trained" if whole in busy else "searched"
        raise UserError(f"{path.name} is being {doing} by another process; stop that first")
    hidden = whole.with_name(f".{whole.name}.{os.getpid()}")
    try:
        whole.rename(hidden)  # nobody meets a run that is half deleted
    except OSError as error:
        raise DimeError(f"cannot delete {path}: {error.strerror}") from error
    try:
        shutil.rmtree(hidden)
    except OSError as error:
        raise DimeError(f"{path} is removed, but {hidden} is left of it: {error.strerror}") from error
