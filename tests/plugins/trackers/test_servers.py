"""Trackers with packages of their own: each tracks a real run that is interrupted and resumed, where it is installed.

In processes of their own: these packages hook into the interpreter and warn as they please.
"""

from __future__ import annotations

import importlib.util
import json
import os
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dimecli.errors import UserError
from dimecli.registry import make

RESUMED = """
import json, sys
from pathlib import Path
from dimecli.api import resume, train
from dimecli.console import Reporter
from dimecli.registry import make
from dimecli.training.trainer import Trainer

name, runs, real = sys.argv[1], Path(sys.argv[2]), Trainer._end_epoch

def stop_after_two(self, epoch, means):
    real(self, epoch, means)
    if epoch == 1:
        raise KeyboardInterrupt

Trainer._end_epoch = stop_after_two
try:
    settings = {"epochs": 4, "checkpoint_seconds": 0}
    train("ae", "digits", make("network", "mlp", widths=(8,)), runs=runs, trackers=[name], **settings)
except KeyboardInterrupt:
    Trainer._end_epoch = real
    resume(next(runs.iterdir()), reporter=Reporter())
"""


def tracked(name: str, folder: Path) -> tuple[Path, dict[int, float]]:
    """The folder of a run that was interrupted after its second epoch, with a checkpoint of its first, and resumed."""
    environment = {**os.environ, "TRACKIO_DIR": str(folder / "trackio"), "WANDB_MODE": "offline"}
    command = [sys.executable, "-c", RESUMED, name, str(folder / "runs")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=folder, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert "Warning" not in done.stderr
    assert f"Tracked by {name}: " in done.stderr
    (run,) = (folder / "runs").iterdir()
    history = [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
    return run, {line["step"]: line["validation"]["total"] for line in history}


def ask(program: str, folder: Path) -> Any:
    """What a program prints as JSON."""
    environment = {**os.environ, "TRACKIO_DIR": str(folder / "trackio")}
    command = [sys.executable, "-c", program]
    return json.loads(subprocess.run(command, env=environment, capture_output=True, check=True, cwd=folder).stdout)


@pytest.mark.slow
def test_mlflow_has_every_step_once(tmp_path: Path) -> None:
    pytest.importorskip("mlflow")
    pytest.importorskip("alembic")
    run, expected = tracked("mlflow", tmp_path)
    program = f"""
import json
from mlflow import MlflowClient
client = MlflowClient("sqlite:///{run}/mlflow.db")
(found,) = client.search_runs([client.get_experiment_by_name("dimecli").experiment_id])
points = [(point.step, point.value) for point in client.get_metric_history(found.info.run_id, "validation/total")]
print(json.dumps([points, found.info.status, found.info.run_name, found.data.params]))
"""
    points, status, name, params = ask(program, tmp_path)
    assert sorted(map(tuple, points)) == sorted(expected.items())
    assert (status, name, params["network/widths"]) == ("FINISHED", run.name, "8")


@pytest.mark.slow
def test_trackio_has_every_step_once(tmp_path: Path) -> None:
    pytest.importorskip("trackio")
    run, expected = tracked("trackio", tmp_path)
    program = """
import json
from trackio.sqlite_storage import SQLiteStorage
(found,) = SQLiteStorage.get_run_records("dimecli")
logs = SQLiteStorage.get_logs("dimecli", found["name"])
config = SQLiteStorage.get_run_config("dimecli", found["name"])
print(json.dumps([[(log["step"], log["validation/total"]) for log in logs], found["name"], config["network/widths"]]))
"""
    points, name, widths = ask(program, tmp_path)
    assert sorted(map(tuple, points)) == sorted(expected.items())
    assert (name, widths) == (run.name, [8])


@pytest.mark.slow
def test_wandb_has_every_step_once_under_one_identifier(tmp_path: Path) -> None:
    pytest.importorskip("wandb")
    run, expected = tracked("wandb", tmp_path)
    assert len({file.name for file in (run / "wandb").glob("offline-run-*/run-*.wandb")}) == 1
    (latest,) = (run / "wandb" / "latest-run").glob("run-*.wandb")  # what the user is told to upload
    assert wandb_points(latest) == list(expected.items())


def wandb_points(file: Path) -> list[tuple[int, float]]:
    """Steps and validation losses of a file for `wandb sync`: records in the format of LevelDB's log."""
    from wandb.proto.wandb_internal_pb2 import Record

    data, position, points, whole = file.read_bytes(), 7, [], b""
    while position + 7 <= len(data):
        if 32768 - position % 32768 < 7:  # a header does not cross blocks
            position += 32768 - position % 32768
            continue
        _, length, kind = struct.unpack("<IHB", data[position : position + 7])
        whole += data[position + 7 : position + 7 + length]
        position += 7 + length
        if kind in (1, 4):  # a whole record, or the last part of one
            record, whole = Record.FromString(whole), b""
            items = {"/".join(item.nested_key) or item.key: item.value_json for item in record.history.item}
            if items:
                points.append((int(items["_step"]), float(items["validation/total"])))
    return points


@pytest.mark.parametrize(("name", "module"), [("mlflow", "mlflow"), ("trackio", "trackio"), ("wandb", "wandb")])
def test_without_its_package_it_names_the_extra(name: str, module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UserError, match=rf"^--track {name}: .*{module}.*: pip install 'dimecli\[{name}\]'$"):
        make("tracker", name).check()


@pytest.mark.parametrize("uri", [None, "sqlite:////tmp/runs.db"])
def test_mlflow_without_what_its_databases_need_names_the_extra(
    uri: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", sys)
    monkeypatch.setitem(sys.modules, "sqlalchemy", None)
    with pytest.raises(UserError, match=r"^--track mlflow: .*sqlalchemy.*: pip install 'dimecli\[mlflow\]'$"):
        make("tracker", "mlflow", tracking_uri=uri).check()
    make("tracker", "mlflow", tracking_uri="http://localhost:5000").check()


def test_they_say_how_to_look(tmp_path: Path) -> None:
    run = tmp_path / "my run"
    assert make("tracker", "mlflow").see(run) == f"mlflow ui --backend-store-uri 'sqlite:///{run}/mlflow.db'"
    assert make("tracker", "mlflow", tracking_uri="http://localhost:5000").see(run) == "http://localhost:5000"
    assert make("tracker", "trackio", project="mine").see(run) == "trackio show --project mine"
    assert make("tracker", "wandb").see(run) == f"wandb sync '{run / 'wandb' / 'latest-run'}'"
    assert make("tracker", "wandb", mode="online").see(run) == ""


@pytest.mark.skipif(importlib.util.find_spec("wandb") is not None, reason="with wandb the real one is asked")
@pytest.mark.parametrize("known", [True, False])
def test_wandb_online_needs_a_key_and_never_asks_for_one(known: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    class Asked:
        @staticmethod
        def login(*, prompt: bool, verify: bool) -> bool:
            assert not prompt
            return known

    monkeypatch.setitem(sys.modules, "wandb", Asked)
    online = make("tracker", "wandb", mode="online")
    if known:
        online.check()
        return
    with pytest.raises(UserError, match=r"^--mode online: .* nobody here: wandb login, or set \$WANDB_API_KEY$"):
        online.check()
