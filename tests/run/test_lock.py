"""The lock of a run: one holder, and free as soon as the holder is gone."""

import errno
import fcntl
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from dimecli.errors import DimeError, UserError
from dimecli.run.lock import is_locked, lock

HOLDER = """
import os, sys, time
from pathlib import Path
from dimecli.run.lock import lock

with lock(Path(sys.argv[1]), "trained"):
    child = os.fork()
    if child:
        print(child, flush=True)
    time.sleep(60)
"""


def test_a_killed_process_frees_the_lock_though_its_children_live_on(tmp_path: Path) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    child = int(holder.stdout.readline())
    try:
        assert is_locked(tmp_path)
        with pytest.raises(UserError, match=f"^{tmp_path.name} is being trained by another process$"):
            lock(tmp_path, "trained").__enter__()
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        os.kill(child, 0)  # it still lives
        assert not is_locked(tmp_path)
        with lock(tmp_path, "trained"):
            assert is_locked(tmp_path)
    finally:
        holder.kill()
        os.kill(child, signal.SIGKILL)
        holder.stdout.close()


def test_an_error_while_training_frees_the_lock_and_stays_itself(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="something else"), lock(tmp_path, "trained"):
        raise FileNotFoundError("something else")
    assert not is_locked(tmp_path)


def test_a_look_at_the_lock_refuses_nobody(tmp_path: Path) -> None:
    with (tmp_path / "lock").open("w") as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        timer = threading.Timer(0.2, fcntl.flock, (looking, fcntl.LOCK_UN))
        timer.start()
        with lock(tmp_path, "trained"):
            pass
        timer.join()


def test_a_file_system_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(file: object, operation: int) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(DimeError, match=r"cannot lock .*lock: Function not implemented"):
        lock(tmp_path, "trained").__enter__()
    assert not is_locked(tmp_path)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    assert not is_locked(tmp_path / "none")
    with pytest.raises(DimeError, match=r"cannot lock .*none.lock: No such file"):
        lock(tmp_path / "none", "trained").__enter__()
