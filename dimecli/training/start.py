"""From an experiment to a finished run folder, and from a killed run to the same."""

from __future__ import annotations

import gc
import os
import shlex
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch

from dimecli import distributed
from dimecli.blame import blamed
from dimecli.console import Reporter
from dimecli.data.batches import Batches
from dimecli.data.samples import Samples
from dimecli.data.spec import Spec
from dimecli.errors import DimeError, UserError
from dimecli.machine import describe, pick_device
from dimecli.model import Autoencoder
from dimecli.plugin import Tracker
from dimecli.registry import file_options
from dimecli.run.files import file_hash, write_tensors
from dimecli.run.folder import create_run, read_record, update_record, write_record
from dimecli.run.lock import lock
from dimecli.run.origin import changes, require_grammar
from dimecli.run.record import Record
from dimecli.seeds import derive
from dimecli.training.experiment import Experiment, from_record, trackers_of
from dimecli.training.tracking import Trackings
from dimecli.training.trainer import Trainer


@dataclass(frozen=True)
class _Ready:
    """An experiment with its data read, its model built and its trainer set up."""

    experiment: Experiment
    trainer: Trainer
    spec: Spec
    data: dict[str, Any]

    def record(self) -> dict[str, Any]:
        """What a run's record says before the first step."""
        weights = self.trainer.model.parameters()
        return {
            "config": self.experiment.config(),
            "plugins": self.experiment.origins(),
            "spec": self.spec.options(),
            "data": self.data,
            "parameters": sum(weight.numel() for weight in weights),
            "machine": {**describe(self.trainer.device), "processes": distributed.world()},
        }


def start(experiment: Experiment, runs: Path, reporter: Reporter) -> Path:
    """Train from scratch in a new folder inside `runs`; returns the folder.

    Raises:
        UserError: the experiment cannot be trained; no folder was made, unless it was a tracker that did not open.
        DimeError: training failed; the record says why and the last checkpoint is kept.
    """
    experiment.check()
    _check(experiment.trackers)
    with _processes(experiment.train.device):
        ready, first = _prepare(experiment, reporter), distributed.rank() == 0
        created = create_run(runs, experiment.label) if first else runs
        path = Path(distributed.from_first(str(created), ready.trainer.device))
        with lock(path, "trained") if first else nullcontext():
            if first:
                write_record(path, ready.record())
            _train(ready, path, reporter, resume=False)
    return path


def resume(path: Path, reporter: Reporter) -> Path:
    """Go on with a run that was killed, interrupted or failed, from its last checkpoint.

    Raises:
        UserError: the run is finished, is being trained, its data changed, or a plugin is not installed.
        DimeError: the record or the checkpoint is damaged, or training failed.
    """
    _unfinished(path)
    first = distributed.rank() == 0
    with lock(path, "trained") if first else nullcontext():
        record = _unfinished(path)  # again: another process may just have finished it
        if (processes := record["machine"].get("processes", 1)) != distributed.world():
            again = f"torchrun --nproc-per-node {processes} -m dimecli" if processes > 1 else "dime"
            raise UserError(
                f"--resume {path.name}: it needs the {processes} processes that it began with: {again} train"
            )
        require_grammar(path, record)
        if changed := changes(record):
            raise UserError(
                f"--resume {path.name}: {', '.join(changed)} since, and its bits would be others; "
                "put back what it was trained with"
            )
        experiment = replace(from_record(path, record), trackers=trackers_of(path, record))
        experiment.check()
        _check(experiment.trackers)
        with _processes(experiment.train.device):
            ready = _prepare(experiment, reporter)
            if ready.data["fingerprints"] != record["data"]["fingerprints"]:
                name = record["config"]["dataset"]["name"]
                raise UserError(f"--resume {path.name}: the data of '{name}' changed since")
            if first:
                for stale in (path / "checkpoints").glob(".*"):  # a kill left it half written
                    stale.unlink()
                update_record(path, state="running", error=None)
            _train(ready, path, reporter, resume=True)
    return path


def _check(trackers: Mapping[str, Tracker]) -> None:
    if distributed.rank() == 0:
        for tracker in trackers.values():
            tracker.check()


def _unfinished(path: Path) -> Record:
    record = read_record(path)
    if record["state"] == "finished":
        raise UserError(f"--resume {path.name}: the run is finished; there is nothing to resume")
    return record


def build_model(experiment: Experiment, spec: Spec) -> Autoencoder:
    """The experiment's model with fresh weights, which its seed alone decides."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(derive(experiment.train.seed, "weights"))
        return experiment.objective.build(spec, experiment.network)


def _prepare(experiment: Experiment, reporter: Reporter) -> _Ready:
    settings, device = experiment.train, pick_device(experiment.train.device)
    if distributed.rank() == 0:
        for note in experiment.dataset.notes():
            reporter.say(f"Note: {note}")
    training, validation = _samples(experiment, device)
    model = build_model(experiment, training.spec)
    shape = " x ".join(map(str, training.spec.shape))
    reporter.say(f"{len(training)} training and {len(validation)} validation samples of {shape}, device {device}")
    batches = Batches(training, device, settings.stream, settings.workers)
    held_out = Batches(validation, device, settings.stream, settings.workers)
    trackings = Trackings(experiment.trackers if distributed.rank() == 0 else {}, experiment.options(), reporter)
    trainer = Trainer(experiment.objective, model, settings, batches, held_out, device, reporter, trackings)
    fingerprints = {"train": training.fingerprint(), "validation": validation.fingerprint()}
    data = {"training": len(training), "validation": len(validation), "fingerprints": fingerprints}
    return _Ready(experiment, trainer, training.spec, data)


def _samples(experiment: Experiment, device: torch.device) -> tuple[Samples, Samples]:
    """Training and validation samples, read by process 0 first, so that it alone downloads them."""
    if distributed.rank() > 0:
        distributed.from_first("wait", device)
        return experiment.training()
    samples = experiment.training()
    distributed.from_first("read", device)
    return samples


def _train(ready: _Ready, path: Path, reporter: Reporter, resume: bool) -> None:
    trainer, first = ready.trainer, distributed.rank() == 0
    weights = path / "weights.safetensors"
    try:
        cuda = [trainer.device.index] if trainer.device.type == "cuda" else []
        with torch.random.fork_rng(devices=cuda):  # a step seeds the global generators, which belong to the caller
            results = trainer.fit(path, resume)
        if first:
            write_tensors(weights, trainer.model.state_dict(), {})
            update_record(path, state="finished", results=results, weights=file_hash(weights))
    except BaseException as error:
        stopped = isinstance(error, KeyboardInterrupt | SystemExit)
        if first:
            with suppress(DimeError):  # a full disk must not hide what went wrong first
                if stopped:
                    update_record(path, state="interrupted")
                else:
                    update_record(path, state="failed", error=_reason(error))
        trainer.trackings.finish(None)
        if stopped:
            reporter.say(f"Go on with: dime train --resume {shlex.quote(str(path))}{file_options()}")
        raise
    if first:
        shutil.rmtree(path / "checkpoints", ignore_errors=True)  # whatever happens here, the run is finished
    trainer.trackings.finish(results)
    distributed.from_first("finished", trainer.device)  # the others may read the run once it is whole


def _reason(error: BaseException) -> str:
    """Why a training failed, in a line, and which plugin is to blame."""
    if isinstance(error, DimeError):
        return str(error)
    return str(blamed(error) or ": ".join(filter(None, (type(error).__name__, str(error)))))


@contextmanager
def _processes(device: str) -> Iterator[None]:
    """Join the other processes that torchrun started, if it did, and part from them at the end."""
    if distributed.world() == 1:
        yield
        return
    cuda = pick_device(device).type == "cuda"
    if cuda:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    torch.distributed.init_process_group("nccl" if cuda else "gloo", timeout=timedelta(minutes=30))
    try:
        yield
    finally:
        gc.collect()  # reducers that outlive their process group abort the interpreter's exit
        torch.distributed.destroy_process_group()
