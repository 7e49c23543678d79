"""What is to be trained on what: four choices that together say everything about a run."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from dimecli import distributed
from dimecli.data.samples import Samples, Split
from dimecli.data.spec import Modality
from dimecli.defaults import optional
from dimecli.errors import DimeError, UserError
from dimecli.plugin import Dataset, Network, Objective, Plugin, Tracker
from dimecli.registry import entry_of, find
from dimecli.run.origin import packages_of, plugin_of
from dimecli.run.record import Record
from dimecli.settings import Settings, first_error
from dimecli.training.settings import TrainSettings


@dataclass(frozen=True)
class Experiment:
    """An objective, a dataset, a network and how to train, and the trackers that are told, by their names."""

    objective: Objective
    dataset: Dataset
    network: Network
    train: TrainSettings
    trackers: Mapping[str, Tracker] = field(default_factory=dict)

    @property
    def plugins(self) -> dict[str, Plugin]:
        """The chosen plugins by kind."""
        return {"objective": self.objective, "dataset": self.dataset, "network": self.network}

    @property
    def label(self) -> str:
        """Objective and data in short, such as `dime-digits`."""
        return f"{entry_of(self.objective).name}-{self.dataset.label or entry_of(self.dataset).name}"

    def config(self) -> dict[str, dict[str, Any]]:
        """Every option as tables of JSON values, laid out as a TOML file for `dime train`."""
        if not self.trackers:
            return self.options()
        told = {name: tracker.options() for name, tracker in self.trackers.items()}
        return {**self.options(), "tracker": {"name": ",".join(told), **told}}

    def options(self) -> dict[str, dict[str, Any]]:
        """The tables of `config` that decide what comes out: all but that of the trackers."""
        tables = {kind: {"name": entry_of(plugin).name, **plugin.options()} for kind, plugin in self.plugins.items()}
        return {**tables, "train": self.train.options()}

    def origins(self) -> dict[str, dict[str, Any]]:
        """Where each plugin, the grammar included, comes from: `Entry.record` of each."""
        plugins = self.plugins | {f"tracker.{name}": tracker for name, tracker in self.trackers.items()}
        entries = {kind: entry_of(plugin) for kind, plugin in plugins.items()}
        if language := self.dataset.language:
            with suppress(UserError):  # a grammar's text in a file of its own is no plugin
                entries["grammar"] = entry_of(language)
        return {kind: entry.record for kind, entry in entries.items()}

    def check(self) -> None:
        """Refuses what can be told before the data is read.

        Raises:
            UserError: several processes are to train an objective that only one can.
        """
        if (processes := distributed.world()) > 1 and not self.objective.data_parallel:
            name = entry_of(self.objective).name
            raise UserError(f"objective '{name}' is trained by one process, got {processes}; start it without torchrun")

    def training(self) -> tuple[Samples, Samples]:
        """The samples to train on and those to validate on, in the form that the network works on.

        Raises:
            UserError: the objective or the network does not take them, or the data is missing or damaged.
        """
        training, validation = self.dataset.training()
        return self._prepared(training), self._prepared(validation)

    def load(self, split: Split) -> Samples:
        """One split, in the form that the network works on.

        Raises:
            UserError: as `training`; or there is no such split.
        """
        return self._prepared(self.dataset.load(split))

    def _prepared(self, samples: Samples) -> Samples:
        modality, dataset = samples.spec.modality, entry_of(self.dataset).name
        if modality not in self.objective.modalities:
            taken = ", ".join(f"{allowed}s" for allowed in sorted(self.objective.modalities))
            raise UserError(
                f"objective '{entry_of(self.objective).name}' takes {taken}; dataset '{dataset}' gives {modality}s; "
                f"{_taker(modality)}"
            )
        if modality not in self.network.modalities:
            taken = ", ".join(sorted(self.network.modalities))
            network = entry_of(self.network).name
            raise UserError(
                f"--network {network} takes {taken}; dataset '{dataset}' gives {modality}; "
                f"try --network {self.dataset.fitting_network()}"
            )
        return self.network.prepare(samples)


def _taker(modality: Modality) -> str:
    """What to do with data that an objective does not take."""
    usual = optional("objective")
    taker: Any = find("objective", usual).plugin() if usual else None
    return f"try objective '{usual}'" if taker and modality in taker.modalities else "choose another objective"


def from_record(path: Path, record: Record) -> Experiment:
    """The experiment that a checked record describes; nothing is downloaded where somebody else's record says so.

    Args:
        path: The run's folder.
        record: What `read_record` returned.

    Raises:
        UserError: a plugin is not installed; the message names its package.
        DimeError: an option does not suit the plugins that are installed.
    """

    def plugin(kind: str) -> Any:
        options = dict(record["config"][kind])
        name = options.pop("name")
        if "download" in options:
            options["download"] = False
        return _build(path, record, plugin_of(path, record, kind, name, kind), options)

    settings = _build(path, record, TrainSettings, record["config"]["train"])
    return Experiment(plugin("objective"), plugin("dataset"), plugin("network"), settings)


def trackers_of(path: Path, record: Record) -> dict[str, Tracker]:
    """The trackers that a checked record names, which a finished run does without.

    Args:
        path: The run's folder.
        record: What `read_record` returned.

    Raises:
        UserError, DimeError: as `from_record`.
    """
    table = record["config"].get("tracker", {"name": ""})
    return {
        name: _build(path, record, plugin_of(path, record, "tracker", name, f"tracker.{name}"), table.get(name, {}))
        for name in filter(None, table["name"].split(","))
    }


def _build(path: Path, record: Record, settings: type[Settings], options: Record) -> Any:
    try:
        return settings.model_validate(options)
    except ValidationError as error:
        reason = first_error(error, settings)
        raise DimeError(f"{path / 'run.json'}: the options do not suit {packages_of(record)}: {reason}") from error
