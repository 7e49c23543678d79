"""Trackers are told what history.jsonl has, and training neither needs them nor depends on them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from dimecli.api import Run, resume, train
from dimecli.console import Reporter
from dimecli.errors import DimeError, UserError
from dimecli.plugin import Tracker
from dimecli.plugin.tracker import flat
from dimecli.registry import make
from dimecli.run.folder import list_runs, read_record, update_record
from dimecli.training.tracking import Trackings
from dimecli.training.trainer import Trainer

Install = Callable[..., None]

NOTES = '''
import json
from pydantic import Field
from dimecli.errors import UserError
from dimecli.plugin import Tracker

class Notes(Tracker):
    """Notes what it is told, beside the history."""

    fails_at: str = Field("", description="Method that fails.")
    refuses_at: str = Field("", description="Method that blames the user.")
    unit: float = Field(1.0, gt=0, description="An option.")

    def note(self, run, name, *told):
        with (run / "notes.jsonl").open("a") as file:
            print(json.dumps([name, *told]), file=file)
        print("noted")  # on stdout, which is not for trackers
        if name == self.refuses_at:
            raise UserError("--unit: notes are refused")
        if name == self.fails_at:
            raise ConnectionError("the line is dead\\nsince noon")

    def check(self):
        if self.refuses_at == "check":
            raise UserError("--track notes: no pencil")

    def open(self, run, config, resumed_at):
        self.note(run, "open", dict(config), resumed_at)
        return Opened(self, run)

    def see(self, run):
        self.note(run, "see")
        return "cat notes.jsonl"

class Opened:
    def __init__(self, notes, run):
        self.notes, self.run = notes, run

    def record(self, step, numbers):
        lines = (self.run / "history.jsonl").read_text().splitlines()
        self.notes.note(self.run, "record", step, dict(numbers), json.loads(lines[-1])["step"])

    def finish(self, results):
        self.notes.note(self.run, "finish", results and dict(results))
'''


@pytest.fixture(autouse=True)
def notes(install: Install) -> None:
    install("dime-notes", "0.3", {"dimecli.trackers": "notes = notes_mod:Notes"}, notes_mod=NOTES)


def trained(runs: Path, *trackers: Any, **settings: Any) -> Run:
    network = make("network", "mlp", widths=(8,))
    return train("dime", "digits", network, runs=runs, trackers=trackers, **{"epochs": 3, **settings})


def interrupted(runs: Path, *trackers: Any) -> Path:
    """A run that stopped after the record of its second epoch, with a checkpoint of its first."""
    real = Trainer._end_epoch

    def stop_after_two(self: Trainer, epoch: int, means: dict[str, float]) -> None:
        real(self, epoch, means)
        if epoch == 1:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Trainer, "_end_epoch", stop_after_two)
        with pytest.raises(KeyboardInterrupt):
            trained(runs, *trackers, checkpoint_seconds=0)
    return runs / str(list_runs(runs)[0]["run"])


def noted(path: Path) -> list[list[Any]]:
    return [json.loads(line) for line in (path / "notes.jsonl").read_text().splitlines()]


def history(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (path / "history.jsonl").read_text().splitlines()]


def test_a_table_of_tables_as_one() -> None:
    table = {"step": 1, "train": {"total": 2.0, "deep": {"er": [3]}}, "none": None, "empty": {}}
    assert flat(table) == {"step": 1, "train/total": 2.0, "train/deep/er": [3], "none": None}


def test_a_tracker_is_told_every_number_after_the_history_has_it(tmp_path: Path) -> None:
    run = trained(tmp_path, make("tracker", "notes", unit=2.0))
    opened, *records, finished, _ = noted(run.path)
    assert opened[0] == "open"
    assert opened[1] == flat({key: table for key, table in run.record["config"].items() if key != "tracker"})
    assert opened[1]["objective/gamma"] == 2.0
    assert opened[2] is None
    assert len(records) == 3
    for (name, step, numbers, written), line in zip(records, history(run.path), strict=True):
        assert (name, {"step": step, **numbers}, written) == ("record", flat(line), line["step"])
    assert {"lr", "train/reconstruction", "validation/total", "gradient_share/information"} <= records[0][2].keys()
    assert finished == ["finish", flat(run.results)]


def test_the_record_names_the_trackers_and_where_they_come_from(tmp_path: Path) -> None:
    run = trained(tmp_path, make("tracker", "notes", unit=2.0), "csv")
    options = {"fails_at": "", "refuses_at": "", "unit": 2.0}
    assert run.record["config"]["tracker"] == {"name": "notes,csv", "notes": options, "csv": {}}
    origin = run.record["plugins"]["tracker.notes"]
    assert (origin["distribution"], origin["version"]) == ("dime-notes", "0.3")
    assert "tracker" not in trained(tmp_path).record["config"]


def test_a_resumed_run_goes_on_tracking(tmp_path: Path) -> None:
    path = interrupted(tmp_path, make("tracker", "notes", unit=2.0))
    assert [note[0] for note in noted(path)] == ["open", "record", "record", "finish"]
    assert noted(path)[-1] == ["finish", None]
    run = resume(path)
    opened, *records, finished, _ = noted(path)[4:]
    step = opened[2]
    assert history(path)[0]["step"] <= step < history(path)[1]["step"]
    assert [record[1] for record in records] == [line["step"] for line in history(path) if line["step"] > step]
    assert finished == ["finish", flat(run.results)]


@pytest.mark.parametrize("fails_at", ["open", "record", "finish", "see"])
def test_a_tracker_that_fails_is_told_once_and_the_training_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], fails_at: str
) -> None:
    network, failing = make("network", "mlp", widths=(8,)), make("tracker", "notes", fails_at=fails_at)
    run = train("dime", "digits", network, runs=tmp_path, trackers=[failing, "csv"], reporter=Reporter(), epochs=3)
    out, err = capsys.readouterr()
    assert out == "", "stdout belongs to the command"
    assert (
        err.count("Warning: tracker 'notes' failed, and is told nothing more: ConnectionError: the line is dead\n") == 1
    )
    assert "cat notes.jsonl" not in err
    assert f"Tracked by csv: {run.path / 'history.csv'}\n" in err
    assert [note[0] for note in noted(run.path)].count(fails_at) == 1
    assert ["finish" in note for note in noted(run.path)].count(True) == (fails_at in ("finish", "see"))
    assert len((run.path / "history.csv").read_text().splitlines()) == 4
    assert run.record["state"] == "finished"


def test_weights_do_not_depend_on_tracking(tmp_path: Path) -> None:
    plain = trained(tmp_path / "plain").record["weights"]
    trackers = [make("tracker", "notes", fails_at="record"), "csv", "tensorboard"]
    assert trained(tmp_path / "tracked", *trackers).record["weights"] == plain
    assert resume(interrupted(tmp_path / "resumed", *trackers)).record["weights"] == plain


def test_what_a_tracker_lacks_is_told_before_anything_is_made(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^--track notes: no pencil$"):
        trained(tmp_path / "runs", make("tracker", "notes", refuses_at="check"))
    assert not (tmp_path / "runs").exists()


def test_a_mistake_of_the_user_ends_the_training_before_its_first_step(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^--unit: notes are refused$"):
        trained(tmp_path, "csv", make("tracker", "notes", refuses_at="open"))
    path = tmp_path / str(list_runs(tmp_path)[0]["run"])
    assert read_record(path)["state"] == "failed"
    assert not (path / "history.jsonl").exists()


def test_a_mistake_that_shows_later_is_only_told(tmp_path: Path) -> None:
    assert trained(tmp_path, make("tracker", "notes", refuses_at="record")).record["state"] == "finished"


def test_a_finished_run_does_without_its_trackers_and_a_resumed_one_does_not(tmp_path: Path) -> None:
    path = interrupted(tmp_path, "csv")
    record = read_record(path)
    config = {**record["config"], "tracker": {"name": "csv,gone", "csv": {}, "gone": {"a": 1}}}
    origin = {"distribution": "dime-gone", "version": "2.1"}
    update_record(path, config=config, plugins={**record["plugins"], "tracker.gone": origin})
    with pytest.raises(UserError, match=r"needs the tracker 'gone' of dime-gone 2\.1: pip install dime-gone$"):
        resume(path)
    update_record(path, config={**config, "tracker": {"name": "csv", "csv": {"fancy": 1}}})
    with pytest.raises(DimeError, match=r"do not suit dime-gone 2\.1, dimecli .*: no option 'fancy'"):
        resume(path)
    update_record(path, config=record["config"])
    resume(path)
    update_record(path, config=config)
    assert Run(path).record["state"] == "finished"


def test_a_damaged_table_of_trackers_is_one_clear_line(tmp_path: Path) -> None:
    path = interrupted(tmp_path)
    update_record(path, config={**read_record(path)["config"], "tracker": 5})
    with pytest.raises(DimeError, match=r"run\.json is damaged: 'config\.tracker'"):
        resume(path)


def test_only_the_first_process_tracks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dimecli.training import start
    from dimecli.training.experiment import Experiment
    from dimecli.training.settings import TrainSettings

    network = make("network", "mlp", widths=(8,))
    objective, data, tracker = make("objective", "ae"), make("dataset", "digits"), make("tracker", "notes")
    experiment = Experiment(objective, data, network, TrainSettings(), {"notes": tracker})
    for rank, opened in ((0, True), (1, False)):
        monkeypatch.setattr("dimecli.distributed.rank", lambda rank=rank: rank)
        start._prepare(experiment, Reporter(quiet=True)).trainer.trackings.open(tmp_path, None)
        assert (tmp_path / "notes.jsonl").exists() == opened
        (tmp_path / "notes.jsonl").unlink(missing_ok=True)


class Leaving(Tracker):
    """Leaves."""

    def open(self, run: Path, config: Mapping[str, Any], resumed_at: int | None) -> Any:
        """Leaves the interpreter."""
        raise SystemExit(3)


def test_a_tracker_that_leaves_the_interpreter_does_not_end_the_training(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trackings = Trackings({"leaving": Leaving()}, {}, Reporter())
    trackings.open(tmp_path, None)
    trackings.record({"step": 1})
    trackings.finish({})
    assert capsys.readouterr().err == "Warning: tracker 'leaving' failed, and is told nothing more: SystemExit: 3\n"
