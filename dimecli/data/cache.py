"""Data that took a while to make, kept for the next time; losing it costs that time and nothing else."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from dimecli.data.samples import Samples
from dimecli.data.spec import Spec
from dimecli.errors import DimeError
from dimecli.lazy import torch


def cache_folder() -> Path:
    """`$DIME_CACHE`, else `$XDG_CACHE_HOME/dimecli`, else `~/.cache/dimecli`."""
    if own := os.environ.get("DIME_CACHE"):
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dimecli"


def keep(name: str, samples: Samples, about: dict[str, Any]) -> None:
    """Keep samples without labels, if the folder can be written."""
    from dimecli.run.files import write_tensors

    assert isinstance(samples.x, torch.Tensor)
    with suppress(DimeError):
        write_tensors(_file(name), {"x": samples.x}, {**about, "fingerprint": samples.fingerprint()})


def recall(name: str, spec: Spec) -> tuple[Samples, dict[str, Any]] | None:
    """What was kept under that name, with its `about`; None if nothing was, or if it is damaged."""
    from dimecli.run.files import read_tensors

    try:
        tensors, about = read_tensors(_file(name))
    except DimeError:
        return None
    samples = Samples(spec, tensors["x"]) if "x" in tensors else None
    return (samples, about) if samples and samples.fingerprint() == about.get("fingerprint") else None


def _file(name: str) -> Path:
    return cache_folder() / f"{name}.safetensors"
