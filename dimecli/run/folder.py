"""The run folder: named, listed, found, and described by its `run.json`."""

from __future__ import annotations

import json
import os
import shutil
import socket
from datetime import datetime
from pathlib import Path
from typing import Any

from dimecli.errors import DimeError, UserError, did_you_mean
from dimecli.run.files import write_json

SCHEMA = 1
KEYS = ("run", "state", "created", "config", "plugins", "spec", "data", "machine")
Record = dict[str, Any]


def runs_folder(runs: str | Path | None = None) -> Path:
    """The folder that holds the runs: the one given, `$DIME_RUNS`, or `runs`."""
    return Path(runs or os.environ.get("DIME_RUNS", "runs"))


def create_run(runs: Path, objective: str, dataset: str, record: Record) -> Path:
    """A new run folder such as `2026-11-20-dime-digits-1` with its record; never one that exists.

    Raises:
        UserError: the folder cannot be made there.
    """
    stem = f"{datetime.now().astimezone():%Y-%m-%d}-{objective}-{dataset}"
    number = 1
    try:
        runs.mkdir(parents=True, exist_ok=True)
        while True:
            path = runs / f"{stem}-{number}"
            try:
                path.mkdir()
                break
            except FileExistsError:
                number += 1
    except OSError as error:
        raise UserError(f"--runs {runs}: cannot make a run folder there: {error.strerror}") from error
    now = datetime.now().astimezone().isoformat(timespec="microseconds")
    write_json(path / "run.json", {"schema": SCHEMA, "run": path.name, "state": "running", "created": now, **record})
    return path


def read_record(path: Path) -> Record:
    """The verified `run.json` of a run; a run whose process is gone reads as interrupted.

    Raises:
        UserError: there is no run at that path.
        DimeError: the record is damaged, or written by another version's schema.
    """
    file = path / "run.json"
    if not file.is_file():
        raise UserError(f"{path} is no run: it has no run.json")
    try:
        record: Record = json.loads(file.read_text(encoding="utf-8"))
        schema = record["schema"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DimeError(f"{file} is damaged: {error}") from error
    if schema != SCHEMA:
        raise DimeError(f"{file} has schema {schema}, this dimecli reads {SCHEMA}; use the version that wrote it")
    if missing := [key for key in KEYS if key not in record]:
        raise DimeError(f"{file} is damaged: it lacks {', '.join(missing)}")
    if record["state"] == "running" and not is_training(record):
        record["state"] = "interrupted"
    return record


def update_record(path: Path, **changes: object) -> None:
    """Replace keys of a run's record, atomically."""
    record = json.loads((path / "run.json").read_text(encoding="utf-8"))
    write_json(path / "run.json", {**record, **changes})


def process() -> dict[str, object]:
    """This process, for the record of the run that it trains."""
    return {"pid": os.getpid(), "host": socket.gethostname()}


def is_training(record: Record) -> bool:
    """Whether the process that trains a run may still be alive."""
    writer = record.get("process", {})
    if record["state"] != "running" or writer.get("pid") == os.getpid():
        return False
    if writer.get("host") != socket.gethostname() or os.name != "posix":
        return True  # nobody here can tell
    try:
        os.kill(writer["pid"], 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return not _is_zombie(writer["pid"])


def _is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return False


def list_runs(runs: Path) -> list[Record]:
    """A row per run, oldest first: run, state, objective, dataset, network, created, seconds, error."""
    rows = []
    for path in runs.iterdir() if runs.is_dir() else ():
        if not (path / "run.json").is_file():
            continue
        row: Record = {"run": path.name, "state": "damaged", "error": None}
        try:
            record = read_record(path)
            names = {kind: record["config"][kind]["name"] for kind in ("objective", "dataset", "network")}
            row |= {"state": record["state"], **names, "created": record["created"]}
            row |= {"seconds": record.get("results", {}).get("seconds"), "error": record.get("error")}
        except (DimeError, KeyError) as error:
            row["error"] = str(error)
        rows.append(row)
    return sorted(rows, key=lambda row: (row.get("created", ""), row["run"]))


def find_run(run: str | None, runs: Path) -> Path:
    """The folder of a run by its name inside `runs` or by its path; without one, the newest that is finished.

    Raises:
        UserError: there is no such run.
    """
    if run is None:
        finished = [row["run"] for row in list_runs(runs) if row["state"] == "finished"]
        if not finished:
            raise UserError(f"no finished run in {runs}; train one first: dime train")
        return runs / str(finished[-1])
    for path in (runs / run, Path(run)):
        if (path / "run.json").is_file():
            return path
    known = [row["run"] for row in list_runs(runs)]
    raise UserError(f"no run '{run}' in {runs}.{did_you_mean(run, known)}")


def remove_run(path: Path) -> None:
    """Delete a run's folder, unless a process still trains it.

    Raises:
        UserError: the run is being trained, or the folder is no run.
    """
    try:
        if is_training(read_record(path)):
            raise UserError(f"{path.name} is being trained by another process; stop that first")
    except UserError:
        raise
    except DimeError:
        pass  # a damaged run may go
    shutil.rmtree(path)
