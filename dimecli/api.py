"""The Python API, for notebooks and programs; the command line is a thin layer over it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from dimecli.console import Reporter
from dimecli.errors import UserError
from dimecli.plugin import Dataset, Network, Objective, Plugin
from dimecli.registry import make
from dimecli.run.folder import find_run, runs_folder
from dimecli.run.reconstruct import reconstruct
from dimecli.run.run import Drawn, Run
from dimecli.run.save import save_samples
from dimecli.run.sentences import Rates, first_different, rates, texts, write_sentences
from dimecli.settings import checked
from dimecli.training.experiment import Experiment
from dimecli.training.settings import TrainSettings
from dimecli.training.start import resume as resume_training
from dimecli.training.start import start

__all__ = [
    "Drawn",
    "Rates",
    "Run",
    "first_different",
    "load_run",
    "rates",
    "reconstruct",
    "resume",
    "save_samples",
    "texts",
    "train",
    "write_sentences",
]


def train(
    objective: Objective | str = "dime",
    dataset: Dataset | str = "digits",
    network: Network | str | None = None,
    *,
    runs: Path | str | None = None,
    settings: TrainSettings | None = None,
    reporter: Reporter | None = None,
    **options: Any,
) -> Run:
    """Train a model and return its run.

    Args:
        objective: A name, or a plugin with options, such as `make("objective", "dime", gamma=4.0)`.
        dataset: The same.
        network: The same; None takes the one that fits the dataset.
        runs: Folder for the run folder; default `$DIME_RUNS` or `runs`.
        settings: How to train; or give its fields as further keywords, such as `epochs=20`.
        reporter: Told how it goes; by default nobody is.
        **options: Fields of `TrainSettings`; none of them together with `settings`.

    Raises:
        UserError: a name, an option or the data is wrong.
        DimeError: training failed.
    """
    data = _plugin("dataset", dataset)
    experiment = Experiment(
        _plugin("objective", objective),
        data,
        _plugin("network", network or data.network),
        _settings(settings, options),
    )
    return Run(start(experiment, runs_folder(runs), reporter or Reporter(quiet=True)), None)


def resume(path: Path | str, *, reporter: Reporter | None = None) -> Run:
    """Go on with a run that was killed, interrupted or failed; it ends with the bits of one that was not."""
    return Run(resume_training(Path(path), reporter or Reporter(quiet=True)), None)


def load_run(run: Path | str | None = None, *, runs: Path | str | None = None, device: str = "auto") -> Run:
    """A finished run by its path or name; without one, the newest in `runs`."""
    return Run(find_run(None if run is None else str(run), runs_folder(runs)), device)


def _plugin(kind: str, given: Plugin | str) -> Any:
    return make(kind, given) if isinstance(given, str) else given


def _settings(given: TrainSettings | None, options: dict[str, Any]) -> TrainSettings:
    if given and options:
        raise UserError(f"train() got settings and also {', '.join(options)}; give one of the two")
    settings = given or checked(TrainSettings, options)
    if settings.threads not in (None, torch.get_num_threads()):
        raise UserError(
            f"threads: set torch.set_num_threads({settings.threads}) yourself; the command line's --threads does"
        )
    return settings
