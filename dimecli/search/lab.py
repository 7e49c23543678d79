"""Where a protocol works: a folder with the runs that it trained and the results that it has so far."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dimecli.console import Reporter
from dimecli.errors import DimeError, UserError
from dimecli.plugin import Protocol
from dimecli.registry import entry_of, make
from dimecli.run.files import append_line, whole_lines, write_json
from dimecli.run.folder import read_record
from dimecli.run.lock import lock
from dimecli.run.run import Run
from dimecli.settings import checked
from dimecli.training.experiment import Experiment
from dimecli.training.settings import TrainSettings
from dimecli.training.start import resume, start

SCHEMA = 1


class FolderLab:
    """A lab in a folder: `protocol.json`, `results.jsonl` and below `runs/NAME` the run of that name.

    It can be killed at any moment; what is whole is kept, and what is not is done again.

    Args:
        folder: Where; opened by `open_lab`.
        reporter: Told how it goes.

    Raises:
        DimeError: the results are damaged; names the line.
    """

    def __init__(self, folder: Path, reporter: Reporter) -> None:
        self.folder, self.reporter = folder, reporter
        self._file = folder / "results.jsonl"
        self._results: dict[str, Mapping[str, Any]] = {}
        for number, line in enumerate(whole_lines(self._file), 1):
            try:
                entry = json.loads(line)
                self._results[entry["key"]] = dict(entry["result"])
            except (ValueError, TypeError, LookupError, RecursionError) as error:
                raise DimeError(f"{self._file}:{number}: damaged: {type(error).__name__}: {error}") from error

    def train(self, name: str, tables: Mapping[str, Mapping[str, Any]]) -> Run:
        """The run of that name, trained now unless it is there, and resumed where it was interrupted.

        Args:
            name: Such as `gvae`.
            tables: Laid out as a TOML file for `dime train`; plugins are named by `name`.

        Raises:
            UserError: the run that is there has other options; or as `dimecli.training.start.start`.
            DimeError: training failed.
        """
        experiment, runs = experiment_of(tables), self.folder / "runs" / name
        found = sorted(record.parent for record in runs.glob("*/run.json"))  # a kill may come before a record
        if not found:
            self.reporter.say(f"Training {name} in {runs}")
            return Run(start(experiment, runs, self.reporter), None)
        path = found[0]
        record = read_record(path)
        _refuse_changes(f"{path}: of the run '{name}'", record["config"], experiment.config())
        if record["state"] != "finished":
            self.reporter.say(f"Going on with {name} in {path}")
            resume(path, self.reporter)
        return Run(path, None)

    def result(self, key: str, compute: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any]:
        """The result of that name, JSON values, computed now unless it is there.

        Raises:
            ValueError: what was computed is no JSON, such as NaN.
            DimeError: it cannot be written.
        """
        if key not in self._results:
            line = json.dumps({"key": key, "result": compute()}, ensure_ascii=False, allow_nan=False)
            append_line(self._file, line)
            self._results[key] = json.loads(line)["result"]  # as it is read by the next process
        return self._results[key]


@contextmanager
def open_lab(folder: Path, protocol: Protocol, reporter: Reporter) -> Iterator[FolderLab]:
    """The lab of a protocol in that folder, new or left by an earlier process.

    Raises:
        UserError: the folder is of another protocol, or of other options; or another process works there.
        DimeError: it cannot be written, or is damaged.
    """
    file = folder / "protocol.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DimeError(f"cannot write into {folder}: {error.strerror}") from error
    about = {"schema": SCHEMA, "protocol": {"name": entry_of(protocol).name, **protocol.options()}}
    with lock(folder, "worked on"):
        if file.exists():
            known = _read(file)
            _refuse_changes(f"{folder}: of the protocol there", {"protocol": known}, {"protocol": about["protocol"]})
        else:
            write_json(file, about)
        yield FolderLab(folder, reporter)


def _read(file: Path) -> dict[str, Any]:
    """Name and options of the protocol."""
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
        schema, protocol = record["schema"], dict(record["protocol"])
    except OSError as error:
        raise DimeError(f"{file} cannot be read: {error.strerror}") from error
    except (ValueError, TypeError, LookupError, RecursionError) as error:
        raise DimeError(f"{file} is damaged: {type(error).__name__}: {error}") from error
    if schema != SCHEMA:
        raise DimeError(f"{file} has schema {schema}, this dimecli reads {SCHEMA}; use the version that wrote it")
    return protocol


def experiment_of(tables: Mapping[str, Mapping[str, Any]]) -> Experiment:
    """What tables for `Lab.train` say.

    Raises:
        UserError: they name a plugin or an option that there is not.
    """

    def plugin(kind: str, table: Mapping[str, Any]) -> Any:
        return make(kind, **table)

    dataset = plugin("dataset", tables["dataset"])
    network = plugin("network", tables.get("network", {"name": dataset.fitting_network()}))
    settings = checked(TrainSettings, tables.get("train", {}), "table [train]")
    return Experiment(plugin("objective", tables["objective"]), dataset, network, settings)


def _refuse_changes(where: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    for table in now:
        old, new = before.get(table, {}), now[table]
        for option in sorted(old.keys() | new.keys(), key=lambda option: (option != "name", option)):
            was, given = old.get(option), new.get(option)
            if was != given:
                flag = table if option == "name" else option.replace("_", "-")
                raise UserError(f"{where} --{flag} was {was!r} and is {given!r} now; remove it, or take another folder")
