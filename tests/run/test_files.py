"""Files are whole or not there, and nothing is unpickled."""

from pathlib import Path

import pytest
import torch

from dimecli.errors import DimeError
from dimecli.run.files import read_tensors, write_atomic, write_tensors


def test_tensors_and_json_survive_the_round_trip(tmp_path: Path) -> None:
    tensors = {"a": torch.randn(3, 4).T, "b": torch.arange(5), "c": torch.tensor(1.5, dtype=torch.bfloat16)}
    about = {"step": 3, "best": {"total": 0.1 + 0.2}}
    write_tensors(tmp_path / "deep" / "x.safetensors", tensors, about)
    found, found_about = read_tensors(tmp_path / "deep" / "x.safetensors")
    assert found_about == about
    for name, tensor in tensors.items():
        assert torch.equal(found[name], tensor)


def test_tensors_that_share_memory_are_written_apart(tmp_path: Path) -> None:
    shared = torch.zeros(4)
    write_tensors(tmp_path / "x.safetensors", {"a": shared, "b": shared[:2]}, {})
    assert set(read_tensors(tmp_path / "x.safetensors")[0]) == {"a", "b"}


def test_a_write_that_fails_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    file = tmp_path / "x"
    file.write_text("old")

    def fails(path: Path) -> None:
        path.write_text("half")
        raise OSError(28, "No space left on device")

    with pytest.raises(DimeError, match=r"cannot write .*x: No space left on device"):
        write_atomic(file, fails)
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
    assert file.read_text() == "old"


def test_errors_that_are_no_system_s_stay_themselves(tmp_path: Path) -> None:
    def fails(path: Path) -> None:
        raise KeyError("bug")

    with pytest.raises(KeyError):
        write_atomic(tmp_path / "x", fails)


@pytest.mark.parametrize("content", [b"", b"\x80\x04.", b"\xff" * 100])
def test_what_is_no_safetensors_file_is_one_clear_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.safetensors").write_bytes(content)
    with pytest.raises(DimeError, match=r"x\.safetensors cannot be read"):
        read_tensors(tmp_path / "x.safetensors")
    with pytest.raises(DimeError, match="cannot be read"):
        read_tensors(tmp_path / "missing")
