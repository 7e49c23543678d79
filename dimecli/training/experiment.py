"""What is to be trained on what: four choices that together say everything about a run."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from dimecli.data.samples import Samples, Split
from dimecli.errors import DimeError, UserError
from dimecli.plugin import Dataset, Network, Objective, Plugin
from dimecli.registry import entry_of, find, names
from dimecli.run.record import Record
from dimecli.settings import Settings, first_error
from dimecli.training.settings import TrainSettings


@dataclass(frozen=True)
class Experiment:
    """An objective, a dataset, a network and how to train."""

    objective: Objective
    dataset: Dataset
    network: Network
    train: TrainSettings

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
        tables = {kind: {"name": entry_of(plugin).name, **plugin.options()} for kind, plugin in self.plugins.items()}
        return {**tables, "train": self.train.options()}

    def origins(self) -> dict[str, dict[str, Any]]:
        """Where each plugin, the grammar included, comes from: distribution, version, class and plugin API."""
        plugins = self.plugins
        entries = {kind: entry_of(plugin) for kind, plugin in plugins.items()}
        if language := self.dataset.language:
            with suppress(UserError):  # a grammar in a file comes from no distribution
                plugins["grammar"], entries["grammar"] = language, entry_of(language)
        return {
            kind: {
                "distribution": entry.distribution,
                "version": entry.version,
                "class": entry.point.value,
                "api": plugins[kind].api,
            }
            for kind, entry in entries.items()
        }

    def training(self) -> tuple[Samples, Samples]:
        """The samples to train on and those to validate on, in the form that the network works on.

        Raises:
            UserError: the network does not take them, or the data is missing or damaged.
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
        modality = samples.spec.modality
        if modality not in self.network.modalities:
            taken = ", ".join(sorted(self.network.modalities))
            network, dataset = entry_of(self.network).name, entry_of(self.dataset).name
            raise UserError(
                f"--network {network} takes {taken}; dataset '{dataset}' gives {modality}; "
                f"try --network {self.dataset.network}"
            )
        return self.network.prepare(samples)


def from_record(path: Path, record: Record) -> Experiment:
    """The experiment that a checked record describes; nothing is downloaded where somebody else's record says so.

    Args:
        path: The run's folder.
        record: What `read_record` returned.

    Raises:
        UserError: a plugin is not installed; the message names its package.
        DimeError: an option does not suit the plugins that are installed.
    """
    config, origins = record["config"], record["plugins"]

    def build(settings: type[Settings], options: Record) -> Any:
        try:
            return settings.model_validate(options)
        except ValidationError as error:
            reason = first_error(error, settings)
            raise DimeError(f"{path / 'run.json'}: the options do not suit {packages_of(record)}: {reason}") from error

    def plugin(kind: str) -> Any:
        options = dict(config[kind])
        name, origin = options.pop("name"), origins[kind]
        if name not in names(kind):
            package = f"{origin['distribution']} {origin['version']}"
            raise UserError(
                f"run {path.name} needs the {kind} '{name}' of {package}: pip install {origin['distribution']}"
            )
        if "download" in options:
            options["download"] = False
        return build(find(kind, name).plugin, options)

    return Experiment(plugin("objective"), plugin("dataset"), plugin("network"), build(TrainSettings, config["train"]))


def packages_of(record: Record) -> str:
    """The distributions, with their versions, that a record's plugins came from."""
    return ", ".join(sorted({f"{origin['distribution']} {origin['version']}" for origin in record["plugins"].values()}))
