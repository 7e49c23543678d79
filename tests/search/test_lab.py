"""The lab of a protocol: what was done there once is not done again, and a kill costs only what was not whole."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from dimecli.console import Reporter
from dimecli.errors import DimeError, UserError
from dimecli.registry import make
from dimecli.run.folder import list_runs, read_record
from dimecli.search.lab import FolderLab, open_lab

TABLES: dict[str, dict[str, Any]] = {
    "objective": {"name": "ae", "latent_size": 2},
    "dataset": {"name": "digits"},
    "network": {"name": "mlp", "widths": [8]},
    "train": {"epochs": 1},
}
QUIET = Reporter(quiet=True)


def _lab(folder: Path, **options: Any) -> Any:
    return open_lab(folder, make("protocol", "table4", **options), QUIET)


def _counted(lab: FolderLab, calls: list[str]) -> Callable[[str], Mapping[str, Any]]:
    def result(key: str) -> Mapping[str, Any]:
        def compute() -> dict[str, Any]:
            calls.append(key)
            return {"of": key, "values": (1, 0.1)}

        return lab.result(key, compute)

    return result


def test_a_result_is_computed_once(tmp_path: Path) -> None:
    calls: list[str] = []
    for _ in range(2):
        with _lab(tmp_path / "lab") as lab:
            result = _counted(lab, calls)
            found = [result("a"), result("b\n\u2028"), result("a")]
        assert found == [{"of": key, "values": [1, 0.1]} for key in ("a", "b\n\u2028", "a")]
    assert calls == ["a", "b\n\u2028"]


def test_a_line_that_a_kill_cut_short_is_computed_again(tmp_path: Path) -> None:
    calls: list[str] = []
    with _lab(tmp_path) as lab:
        list(map(_counted(lab, calls), "ab"))
    file = tmp_path / "results.jsonl"
    file.write_bytes(file.read_bytes()[:-5])
    with _lab(tmp_path) as lab:
        list(map(_counted(lab, calls), "abc"))
    with _lab(tmp_path) as lab:
        list(map(_counted(lab, calls), "abc"))
    assert calls == ["a", "b", "b", "c"]


@pytest.mark.parametrize("line", ["{", '{"key": "a"}', "[]", '{"key": "a", "result": 3}', '{"key": [], "result": {}}'])
def test_other_damage_is_told_by_line(tmp_path: Path, line: str) -> None:
    with _lab(tmp_path) as lab:
        _counted(lab, [])("a")
    with (tmp_path / "results.jsonl").open("a") as file:
        file.write(line + "\n")
    with pytest.raises(DimeError, match=r"results\.jsonl:2: damaged"), _lab(tmp_path):
        pass


def test_what_is_no_json_is_refused_and_not_written(tmp_path: Path) -> None:
    with _lab(tmp_path) as lab:
        with pytest.raises(ValueError, match="not JSON compliant"):
            lab.result("a", lambda: {"value": float("nan")})
        assert lab.result("a", lambda: {"value": 1}) == {"value": 1}


def test_other_options_of_the_protocol_are_refused(tmp_path: Path) -> None:
    with _lab(tmp_path, seeds=3):
        pass
    with pytest.raises(UserError, match=f"{tmp_path}.*--seeds was 3 and is None now"), _lab(tmp_path):
        pass
    with (
        pytest.raises(UserError, match=r"--protocol was 'table4' and is 'table3' now"),
        open_lab(tmp_path, make("protocol", "table3"), QUIET),
    ):
        pass


def test_one_process_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dimecli.run.lock._PATIENCE", 0.0)
    with _lab(tmp_path), pytest.raises(UserError, match="is being worked on by another process"), _lab(tmp_path):
        pass


@pytest.mark.parametrize("text", ["{", "[]", '{"schema": 1}', '{"schema": 9, "protocol": {}}'])
def test_a_damaged_lab_says_so(tmp_path: Path, text: str) -> None:
    (tmp_path / "protocol.json").write_text(text)
    with pytest.raises(DimeError, match=r"protocol\.json (is damaged|has schema 9)"), _lab(tmp_path):
        pass


def test_a_run_is_trained_once_and_its_options_stay(tmp_path: Path) -> None:
    with _lab(tmp_path) as lab:
        first = lab.train("small", TABLES)
        other = lab.train("other", TABLES | {"train": {"epochs": 2}})
    with _lab(tmp_path) as lab:
        again = lab.train("small", TABLES)
        with pytest.raises(UserError, match=rf"{first.path}: .*'small' --epochs was 1 and is 2 now"):
            lab.train("small", TABLES | {"train": {"epochs": 2}})
        with pytest.raises(UserError, match="'small' --objective was 'ae' and is 'vae' now"):
            lab.train("small", TABLES | {"objective": {"name": "vae"}})
        with pytest.raises(UserError, match=r"table \[train\]: no option 'epoch'"):
            lab.train("new", TABLES | {"train": {"epoch": 2}})
    assert again.path == first.path != other.path
    assert again.record == first.record


def test_a_network_may_be_left_to_the_dataset(tmp_path: Path) -> None:
    with _lab(tmp_path) as lab:
        run = lab.train("small", {key: TABLES[key] for key in ("objective", "dataset", "train")})
    assert run.record["config"]["network"]["name"] == make("dataset", "digits").fitting_network()


def test_kill_9_and_go_on(tmp_path: Path) -> None:
    """The run goes on from its checkpoint and ends with the same weights; results that were there are kept."""
    tables = TABLES | {"train": {"epochs": 100, "checkpoint_seconds": 0.05}}
    program = (
        "import torch; torch.set_num_threads(1)\n"
        "from pathlib import Path\nfrom dimecli.console import Reporter\nfrom dimecli.registry import make\n"
        "from dimecli.search.lab import open_lab\n"
        f"with open_lab(Path({str(tmp_path / 'lab')!r}), make('protocol', 'table4'), Reporter(quiet=True)) as lab:\n"
        "    lab.result('before', lambda: {'kept': 1})\n"
        f"    lab.train('small', {tables!r})\n"
    )
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with _lab(tmp_path / "whole") as lab:
        whole = lab.train("small", tables)
    process = subprocess.Popen([sys.executable, "-c", program])
    runs = tmp_path / "lab" / "runs" / "small"
    while process.poll() is None and not list(runs.glob("*/checkpoints/last.safetensors")):
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    (row,) = list_runs(runs)
    assert read_record(runs / row["run"])["state"] == "interrupted", "the process ended before it was killed"
    (runs / "2020-01-01-ae-digits-1").mkdir()  # what a kill leaves that comes before the record
    with _lab(tmp_path / "lab") as lab:
        assert lab.result("before", lambda: {"kept": 2}) == {"kept": 1}
        resumed = lab.train("small", tables)
    torch.set_num_threads(threads)
    assert resumed.path.name == row["run"]
    assert resumed.record["weights"] == whole.record["weights"]
