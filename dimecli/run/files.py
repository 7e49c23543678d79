"""Files that are whole or not there: every write goes to a temporary file first and is then renamed."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from dimecli.errors import DimeError
from dimecli.lazy import torch


def write_atomic(path: Path, write: Callable[[Path], object]) -> Path:
    """Let `write` fill a file beside `path`, then put it in place: synced, renamed, never half there.

    Raises:
        DimeError: the system refused (no space, no permission); what stood at `path` still stands.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}{path.suffix}")  # writers look at the suffix
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(temporary)
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise DimeError(f"cannot write {path}: {error.strerror}") from error
        raise
    return path


def append_line(path: Path, line: str) -> None:
    """Add a line to a text file.

    Raises:
        DimeError: the system refused.
    """
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
    except OSError as error:
        raise DimeError(f"cannot write {path}: {error.strerror}") from error


def whole_lines(path: Path) -> list[bytes]:
    """The lines of a file that only grows; a last one that a kill cut short is removed.

    Raises:
        DimeError: the system refused.
    """
    try:
        content = path.read_bytes() if path.exists() else b""
        end = content.rfind(b"\n") + 1
        if end < len(content):
            os.truncate(path, end)
    except OSError as error:
        raise DimeError(f"{path} cannot be read: {error.strerror}") from error
    return content[:end].split(b"\n")[:-1]


def write_json(path: Path, value: object) -> None:
    """Write a JSON file, atomically; NaN and infinity, which JSON does not have, are refused."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    write_atomic(path, lambda file: file.write_text(text, encoding="utf-8"))


def write_tensors(path: Path, tensors: Mapping[str, torch.Tensor], about: Mapping[str, Any]) -> None:
    """Write a safetensors file with `about` as JSON in its header, atomically."""
    from safetensors.torch import save

    ready = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    write_atomic(path, lambda file: file.write_bytes(save(ready, metadata={"about": json.dumps(about)})))


def read_tensors(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """The tensors of a safetensors file and its `about`. Nothing is ever unpickled.

    Raises:
        DimeError: the file is missing, truncated or of another format.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            about = json.loads((file.metadata() or {}).get("about", "{}"))
            return {name: file.get_tensor(name).clone() for name in file.keys()}, about  # noqa: SIM118  # no mapping
    except (OSError, SafetensorError, ValueError) as error:
        raise DimeError(f"{path} cannot be read: {error}") from error


def file_hash(path: Path) -> str:
    """SHA-256 of a file."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DimeError(f"{path} cannot be read: {error.strerror}") from error
