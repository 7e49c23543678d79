from __future__ import annotations

import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tensorboardX.proto.event_pb2 import Event, SessionLog
from tensorboardX.proto.plugin_hparams_pb2 import HParamsPluginData

from dimecli.api import train
from dimecli.errors import UserError
from dimecli.registry import make

CONFIG = {"objective/lambda": 0.5, "network/widths": [3, 4], "train/clip": None, "train/compile": False}


def events(run: Path) -> Iterator[Any]:
    """What was written, file after file: records of a length, a checksum, an event and a checksum."""
    for file in sorted((run / "tensorboard").iterdir()):
        data = file.read_bytes()
        while data:
            (length,) = struct.unpack("<Q", data[:8])
            yield Event.FromString(data[12 : 12 + length])
            data = data[16 + length :]


def curves(run: Path) -> dict[str, dict[int, float]]:
    """The points that TensorBoard shows: a start takes back what files before have of later steps.

    Fails where a point would be shown twice.
    """
    shown: dict[str, dict[int, float]] = {}
    for event in events(run):
        if event.session_log.status == SessionLog.START:
            shown = {tag: {step: y for step, y in points.items() if step < event.step} for tag, points in shown.items()}
        for value in event.summary.value:
            if value.WhichOneof("value") == "simple_value":
                assert event.step not in shown.setdefault(value.tag, {})
                shown[value.tag][event.step] = value.simple_value
    return shown


def tables(run: Path) -> list[Any]:
    """What is told of hyper-parameters."""
    found = [value.metadata.plugin_data for event in events(run) for value in event.summary.value]
    return [HParamsPluginData.FromString(data.content) for data in found if data.plugin_name == "hparams"]


def test_every_number_of_a_run_is_a_point_of_a_curve(tmp_path: Path) -> None:
    network = make("network", "mlp", widths=(8,))
    run = train("dime", "digits", network, runs=tmp_path, trackers=["tensorboard"], epochs=3)
    shown = curves(run.path)
    assert list(shown["validation/total"]) == [12, 24, 36]
    assert min(shown["validation/total"].values()) == pytest.approx(run.results["terms"]["total"], rel=1e-6)
    assert {"lr", "train/information", "gradient_share/information"} <= shown.keys()


def test_the_options_are_hyper_parameters(tmp_path: Path) -> None:
    tracking = make("tracker", "tensorboard").open(tmp_path, CONFIG, None)
    tracking.finish({"terms/total": 1.0})
    experiment, start, end = tables(tmp_path)
    assert [metric.name.tag for metric in experiment.experiment.metric_infos] == ["validation/total"]
    told = start.session_start_info.hparams
    assert told["objective/lambda"].number_value == 0.5
    assert told["network/widths"].string_value == "3,4"
    assert told["train/clip"].string_value == "none"
    assert told["train/compile"].WhichOneof("kind") == "bool_value"
    assert end.WhichOneof("data") == "session_end_info"


def test_an_interrupted_run_has_no_end(tmp_path: Path) -> None:
    make("tracker", "tensorboard").open(tmp_path, CONFIG, None).finish(None)
    assert [table.WhichOneof("data") for table in tables(tmp_path)] == ["experiment", "session_start_info"]


def test_a_resumed_run_shows_every_step_once(tmp_path: Path) -> None:
    tracker = make("tracker", "tensorboard")
    for resumed_at, steps, loss in ((None, (10, 20, 30), 1.0), (15, (20, 30, 40), 2.0), (40, (50,), 3.0)):
        tracking = tracker.open(tmp_path, CONFIG, resumed_at)
        for step in steps:
            tracking.record(step, {"loss": loss})
        tracking.finish(None)
    assert len(list((tmp_path / "tensorboard").iterdir())) == 3, "each process has a file, within a second too"
    assert curves(tmp_path) == {"loss": {10: 1.0, 20: 2.0, 30: 2.0, 40: 2.0, 50: 3.0}}


def test_a_record_is_on_disk_when_it_was_told(tmp_path: Path) -> None:
    tracking = make("tracker", "tensorboard").open(tmp_path, CONFIG, None)
    tracking.record(10, {"loss": 0.5})
    assert curves(tmp_path) == {"loss": {10: 0.5}}
    tracking.finish(None)


def test_a_disk_that_refuses_is_an_error_and_no_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tensorboardX.record_writer import RecordWriter

    def refuse(self: Any, *arguments: Any) -> None:
        raise OSError(28, "No space left on device")

    tracking = make("tracker", "tensorboard").open(tmp_path, CONFIG, None)
    with monkeypatch.context() as patched:
        patched.setattr(RecordWriter, "write", refuse)
        for step in range(1, 30):
            with pytest.raises(OSError, match="No space left"):
                tracking.record(step, {"loss": 0.5})
    tracking.finish(None)


def test_without_its_package_it_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(
        UserError, match=r"^--track tensorboard: .*tensorboardX.*: pip install 'dimecli\[tensorboard\]'$"
    ):
        train("ae", "digits", runs=tmp_path / "runs", trackers=["tensorboard"], epochs=1)
    assert not (tmp_path / "runs").exists()


def test_it_says_how_to_look(tmp_path: Path) -> None:
    seen = make("tracker", "tensorboard").see(tmp_path / "my run")
    assert seen == f"tensorboard --logdir '{tmp_path / 'my run' / 'tensorboard'}'"
