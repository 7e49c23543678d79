"""Devices, threads and what a run records of the machine that it ran on."""

from __future__ import annotations

import os
import platform
import sys

from dimecli.errors import UserError
from dimecli.lazy import torch


def set_up(threads: int | None) -> None:
    """Give every numerical library `threads` CPU threads (None leaves them alone), and make GPUs repeat their bits.

    Only the command line calls this, before torch is imported: it is global.
    """
    if threads is not None:
        for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
            os.environ[name] = str(threads)
        torch.set_num_threads(threads)
    torch.backends.cudnn.deterministic = True


def physical_cores() -> int:
    """CPU cores that this process may use, threads of the same core counted once."""
    from loky import cpu_count

    return int(cpu_count(only_physical_cores=True))


def pick_device(name: str) -> torch.device:
    """The device called `auto`, `cpu`, `cuda` or `mps`; auto takes a GPU if there is one.

    Raises:
        UserError: this machine has no such device.
    """
    cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    if name == "auto":
        name = "cuda" if cuda else "mps" if mps else "cpu"
    if (name == "cuda" and not cuda) or (name == "mps" and not mps):
        raise UserError(f"--device {name}: torch {torch.__version__} finds no such device here; use auto or cpu")
    if name == "cuda":
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    return torch.device(name)


def describe(device: torch.device) -> dict[str, object]:
    """What numbers of a run depend on: versions, processor, device, threads."""
    return {
        "platform": platform.platform(),
        "processor": platform.machine(),
        "python": sys.version.split()[0],
        "torch": torch.__version__,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "threads": torch.get_num_threads(),
        "cores": os.cpu_count(),
    }
