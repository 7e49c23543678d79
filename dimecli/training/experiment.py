"""What is to be trained on what: four choices that together say everything about a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dimecli.errors import UserError
from dimecli.plugin import Dataset, Network, Objective, Plugin
from dimecli.registry import entry_of, find
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

    def config(self) -> dict[str, dict[str, Any]]:
        """Every option as tables of JSON values, laid out as a TOML file for `dime train`."""
        tables = {kind: {"name": entry_of(plugin).name, **plugin.options()} for kind, plugin in self.plugins.items()}
        return {**tables, "train": self.train.options()}

    def origins(self) -> dict[str, dict[str, Any]]:
        """Where each plugin comes from: distribution, version, class and plugin API."""
        entries = {kind: entry_of(plugin) for kind, plugin in self.plugins.items()}
        return {
            kind: {
                "distribution": entry.distribution,
                "version": entry.version,
                "class": entry.point.value,
                "api": self.plugins[kind].api,
            }
            for kind, entry in entries.items()
        }

    def check(self, modality: str) -> None:
        """Raise a UserError if the network does not take this modality."""
        if modality not in self.network.modalities:
            taken = ", ".join(sorted(self.network.modalities))
            network, dataset = entry_of(self.network).name, entry_of(self.dataset).name
            raise UserError(
                f"--network {network} takes {taken}; dataset '{dataset}' gives {modality}; try --network mlp"
            )


def from_config(config: Mapping[str, Mapping[str, Any]]) -> Experiment:
    """The experiment that `Experiment.config` described."""

    def plugin(kind: str) -> Any:
        options = dict(config[kind])
        return find(kind, options.pop("name")).plugin.model_validate(options)

    train = TrainSettings.model_validate(config["train"])
    return Experiment(plugin("objective"), plugin("dataset"), plugin("network"), train)
