"""What training longer brings."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from pydantic import Field

from dimecli.defaults import default
from dimecli.plugin import Lab, Protocol

if TYPE_CHECKING:
    from dimecli.run.run import Run


class Example(Protocol):
    """Two runs that differ in how long they were trained, and what that does to their loss."""

    epochs: int = Field(10, ge=1, description="Epochs of the short run.")
    factor: int = Field(4, ge=2, description="How many times as many the long run has.")

    def run(self, lab: Lab) -> str:
        """Trains both, and puts their numbers beside each other."""
        lines = ["| run | epochs | validation loss |", "|---|---|---|"]
        for name, epochs in (("short", self.epochs), ("long", self.epochs * self.factor)):
            run = lab.train(name, self._tables(epochs))
            found = lab.result(name, partial(_numbers, run))
            lines.append(f"| {name} | {epochs} | {found['loss']:.4g} |")
        return "\n".join(["# What training longer brings", "", *lines])

    def _tables(self, epochs: int) -> dict[str, Mapping[str, Any]]:
        """How a run is trained, laid out as a TOML file for `dime train`."""
        return {
            "objective": {"name": default("objective")},
            "dataset": {"name": default("dataset")},
            "train": {"epochs": epochs},
        }


def _numbers(run: Run) -> dict[str, float]:
    """What is kept of a run, and not computed again: measure here what takes long."""
    return {"loss": run.results["terms"]["total"]}
