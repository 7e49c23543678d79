"""A run that was killed resumes and ends with the same bits as one that was not."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from dimecli.api import Run, resume, train
from dimecli.errors import DimeError, UserError
from dimecli.registry import make
from dimecli.run.files import read_tensors
from dimecli.run.folder import list_runs, read_record, update_record
from dimecli.run.lock import lock
from dimecli.training.trainer import Trainer


def program(objective: str, network: dict[str, Any], runs: Path, settings: dict[str, Any]) -> list[str]:
    """A command that trains in a process of its own."""
    code = (
        "import torch; torch.set_num_threads(1)\n"
        "from dimecli.api import train\n"
        "from dimecli.registry import make\n"
        f"train({objective!r}, 'digits', make('network', **{network!r}), runs={str(runs)!r}, **{settings!r})"
    )
    return [sys.executable, "-c", code]


def trained(objective: str, network: dict[str, Any], runs: Path, settings: dict[str, Any]) -> Run:
    return train(objective, "digits", make("network", **network), runs=runs, **settings)


def steps_written(runs: Path) -> int:
    histories = list(runs.glob("*/history.jsonl"))
    return len(histories[0].read_text().splitlines()) if histories else 0


MLP: dict[str, Any] = {"name": "mlp", "widths": (16,)}
CONV: dict[str, Any] = {"name": "rae-conv", "width": 1 / 128}
CASES = [
    ("vae", MLP, {"epochs": 200, "schedule": "plateau", "patience": 1}),
    ("dime", CONV, {"epochs": 40, "schedule": "cosine", "clip": 1.0}),  # batch norm, channels-last moments
]


@pytest.mark.parametrize(("objective", "network", "settings"), CASES, ids=["vae-mlp", "dime-conv"])
def test_kill_9_at_a_random_moment_then_resume(
    objective: str, network: dict[str, Any], settings: dict[str, Any], tmp_path: Path
) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    settings = {**settings, "checkpoint_seconds": 0.05}
    undisturbed = trained(objective, network, tmp_path / "whole", settings)

    runs = tmp_path / "killed"
    process = subprocess.Popen(program(objective, network, runs, settings))
    while steps_written(runs) < 2 and process.poll() is None:
        time.sleep(0.01)
    time.sleep(random.uniform(0, 0.3))
    process.send_signal(signal.SIGKILL)
    process.wait()
    path = runs / list_runs(runs)[0]["run"]
    assert read_record(path)["state"] == "interrupted", "the process ended before it was killed"
    resumed = resume(path)

    torch.set_num_threads(threads)
    assert resumed.record["weights"] == undisturbed.record["weights"]
    assert lines(resumed) == lines(undisturbed)
    assert not (path / "checkpoints").exists()


def lines(run: Run) -> list[dict[str, Any]]:
    """The history without the clock."""
    records = [json.loads(line) for line in (run.path / "history.jsonl").read_text().splitlines()]
    return [{key: value for key, value in record.items() if key != "seconds"} for record in records]


def test_killed_before_the_first_checkpoint_starts_again(tmp_path: Path) -> None:
    whole = trained("dime", MLP, tmp_path / "whole", {"epochs": 2})
    run = trained("dime", MLP, tmp_path / "runs", {"epochs": 2})
    (run.path / "weights.safetensors").unlink()
    update_record(run.path, state="running")
    assert resume(run.path).record["weights"] == whole.record["weights"]


def test_a_finished_run_is_not_resumed(tmp_path: Path) -> None:
    run = trained("ae", MLP, tmp_path, {"epochs": 1})
    with pytest.raises(UserError, match="finished; there is nothing to resume"):
        resume(run.path)


def test_of_two_who_resume_a_run_the_second_is_refused(tmp_path: Path) -> None:
    path = interrupted(tmp_path)
    with lock(path, "trained"), pytest.raises(UserError, match=f"^{path.name} is being trained by another process$"):
        resume(path)
    assert resume(path).record["state"] == "finished"


@pytest.mark.parametrize("method", ["_finish", "_save_if_due", "_end_epoch"])
def test_stopped_around_the_very_last_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    """Between the last step, its record, its checkpoint and the weights: each gap resumes."""
    settings = {"epochs": 2, "max_steps": 17, "checkpoint_seconds": 0}
    whole = trained("dime", MLP, tmp_path / "whole", settings)
    real = getattr(Trainer, method)

    def stop(self: Trainer, *arguments: Any) -> Any:
        if self.state.step == 17:
            raise KeyboardInterrupt
        return real(self, *arguments)

    with monkeypatch.context() as patched:
        patched.setattr(Trainer, method, stop)
        with pytest.raises(KeyboardInterrupt):
            trained("dime", MLP, tmp_path / "runs", settings)
    path = tmp_path / "runs" / list_runs(tmp_path / "runs")[0]["run"]
    assert read_record(path)["state"] == "interrupted"
    resumed = resume(path)
    assert resumed.record["weights"] == whole.record["weights"]
    assert resumed.results["terms"] == whole.results["terms"]
    assert lines(resumed) == lines(whole)


def test_a_history_whose_last_line_was_cut(tmp_path: Path) -> None:
    path = interrupted(tmp_path)
    with (path / "history.jsonl").open("a") as file:
        file.write('{"epoch": 3, "st')
    assert [line["epoch"] for line in lines(resume(path))] == [1, 2, 3]


def interrupted(tmp_path: Path) -> Path:
    """A run that stopped after its second epoch, with a checkpoint of its first."""

    class StopError(Exception):
        pass

    def stop_after_one(self: Trainer, epoch: int, means: dict[str, float]) -> None:
        real(self, epoch, means)
        if epoch == 1:
            raise StopError

    real = Trainer._end_epoch
    Trainer._end_epoch = stop_after_one  # type: ignore[method-assign]
    try:
        with pytest.raises(StopError):
            train(
                "ae",
                "digits",
                make("network", **MLP),
                runs=tmp_path,
                epochs=3,
                checkpoint_seconds=0,
            )
    finally:
        Trainer._end_epoch = real  # type: ignore[method-assign]
    return tmp_path / str(list_runs(tmp_path)[0]["run"])


def test_a_truncated_checkpoint_is_one_clear_line(tmp_path: Path) -> None:
    path = interrupted(tmp_path)
    file = path / "checkpoints" / "last.safetensors"
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(DimeError, match=r"last\.safetensors cannot be read"):
        resume(path)


@pytest.mark.parametrize("split", ["train", "validation"])
def test_data_that_changed_are_refused(tmp_path: Path, split: str) -> None:
    path = interrupted(tmp_path)
    data = read_record(path)["data"]
    update_record(path, data={**data, "fingerprints": {**data["fingerprints"], split: "0" * 64}})
    with pytest.raises(UserError, match="the data of 'digits' changed"):
        resume(path)


def test_a_plugin_or_an_option_that_is_gone_is_one_clear_line(tmp_path: Path) -> None:
    path = interrupted(tmp_path)
    record = read_record(path)
    config = record["config"]
    update_record(path, config={**config, "network": {**config["network"], "fancy": 1}})
    with pytest.raises(DimeError, match=r"do not suit dimecli .*: no option 'fancy'\. Known:"):
        resume(path)
    update_record(path, config={**config, "train": {**config["train"], "epochs": 0}})
    with pytest.raises(DimeError, match=r"run\.json: .*: epochs: should be greater than or equal to 1, got 0"):
        resume(path)
    origin = {"distribution": "dime-wonder", "version": "2.1"}
    plugins = {**record["plugins"], "network": origin}
    update_record(path, config={**config, "network": {"name": "wonder"}}, plugins=plugins)
    with pytest.raises(UserError, match=r"needs the network 'wonder' of dime-wonder 2\.1: pip install dime-wonder"):
        resume(path)


def test_what_a_kill_left_half_written_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = interrupted(tmp_path)
    (path / "checkpoints" / ".last.safetensors.123.safetensors").write_bytes(b"half")
    seen: list[str] = []

    def fit(self: Trainer, folder: Path, resume: bool) -> None:
        seen.extend(file.name for file in (folder / "checkpoints").iterdir())
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Trainer, "fit", fit)
        with pytest.raises(KeyboardInterrupt):
            resume(path)
    assert seen == ["last.safetensors"]
    assert not (resume(path).path / "checkpoints").exists()


def test_a_run_stopped_while_it_cleans_up_is_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def rmtree(path: Path, ignore_errors: bool) -> None:
        raise KeyboardInterrupt

    path = interrupted(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(shutil, "rmtree", rmtree)
        with pytest.raises(KeyboardInterrupt):
            resume(path)
    assert (path / "checkpoints" / "last.safetensors").exists()
    assert Run(path).record["state"] == "finished"


def test_a_resumed_run_computes_where_it_did(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = interrupted(tmp_path)
    config = read_record(path)["config"]
    update_record(path, config={**config, "train": {**config["train"], "device": "cpu"}})
    asked: list[str] = []

    def pick_device(name: str) -> torch.device:
        asked.append(name)
        return torch.device("cpu")

    monkeypatch.setattr("dimecli.run.run.pick_device", pick_device)
    resume(path)
    assert asked == ["cpu"]


def test_a_full_disk_leaves_the_last_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system refuses the third checkpoint: the run fails in one line, and resumes when there is space."""
    whole = trained("ae", MLP, tmp_path / "whole", {"epochs": 4})
    real, written = Path.write_bytes, []

    def write_bytes(self: Path, data: bytes) -> int:
        written.append(self)
        if len(written) == 3:
            real(self, b"half")
            raise OSError(28, "No space left on device")
        return real(self, data)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_bytes", write_bytes)
        with pytest.raises(DimeError, match=r"No space left on device; mend that, then dime train --resume .*runs/"):
            trained("ae", MLP, tmp_path / "runs", {"epochs": 4, "checkpoint_seconds": 0})
    path = tmp_path / "runs" / list_runs(tmp_path / "runs")[0]["run"]
    assert read_record(path)["state"] == "failed"
    assert [file.name for file in (path / "checkpoints").iterdir()] == ["last.safetensors"]
    read_tensors(path / "checkpoints" / "last.safetensors")
    assert resume(path).record["weights"] == whole.record["weights"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_waits_for_a_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    whole = trained("vae", MLP, tmp_path / "whole", {"epochs": 3})
    real = Trainer._train_on

    def train_on(self: Trainer, *arguments: Any) -> None:
        real(self, *arguments)
        if self.state.step == 17:
            os.kill(os.getpid(), number)

    before = signal.getsignal(number)
    with monkeypatch.context() as patched:
        patched.setattr(Trainer, "_train_on", train_on)
        with pytest.raises(KeyboardInterrupt):
            trained("vae", MLP, tmp_path / "runs", {"epochs": 3})
    assert signal.getsignal(number) == before
    path = tmp_path / "runs" / list_runs(tmp_path / "runs")[0]["run"]
    _, about = read_tensors(path / "checkpoints" / "last.safetensors")
    assert about["step"] == 17
    assert resume(path).record["weights"] == whole.record["weights"]


def test_a_run_of_two_processes_is_not_resumed_by_one(tmp_path: Path) -> None:
    path = interrupted(tmp_path)
    update_record(path, machine={**read_record(path)["machine"], "processes": 2})
    with pytest.raises(UserError, match="needs the 2 processes that it began with: torchrun --nproc-per-node 2"):
        resume(path)
