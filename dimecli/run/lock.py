"""Who works on a folder: the process that holds its lock, which the system frees when it ends, however it ends."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from dimecli.errors import DimeError, UserError

_PATIENCE = 1.0  # seconds; `is_locked` holds the lock for a moment


@contextmanager
def lock(path: Path, doing: str) -> Iterator[None]:
    """Hold the lock of a folder; on Windows nothing is locked.

    Args:
        path: The folder.
        doing: What is done to it meanwhile, such as "trained", for the message.

    Raises:
        UserError: another process holds it.
        DimeError: the file system refuses locks.
    """
    file = path / "lock"
    try:
        opened = file.open("a")
    except OSError as error:
        raise DimeError(f"cannot lock {file}: {error.strerror}") from error
    with opened:
        deadline = time.monotonic() + _PATIENCE
        while not _try_lock(opened):
            if time.monotonic() > deadline:
                raise UserError(f"{path.name} is being {doing} by another process")
            time.sleep(0.05)
        if sys.platform != "win32":
            os.register_at_fork(after_in_child=opened.close)  # processes that read samples may outlive a kill
        yield


def is_locked(path: Path) -> bool:
    """Whether some process, this one included, holds the lock of that folder."""
    try:
        with (path / "lock").open() as file:
            return not _try_lock(file, shared=True)
    except (OSError, DimeError):  # never locked, or on a file system that has no locks
        return False


def _try_lock(file: IO[str], shared: bool = False) -> bool:
    if sys.platform == "win32":
        return True
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_NB | (fcntl.LOCK_SH if shared else fcntl.LOCK_EX))
    except BlockingIOError:
        return False
    except OSError as error:
        raise DimeError(f"cannot lock {file.name}: {error.strerror}") from error
    return True
