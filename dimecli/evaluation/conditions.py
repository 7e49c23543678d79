"""Numbers and their conditions in words, the same on the terminal, in tables and on pages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from dimecli.fields import show


def number(value: float) -> str:
    """Four digits that count; whole numbers whole."""
    return f"{value:.0f}" if value == int(value) and abs(value) < 1e9 else f"{value:.4g}"


def written(conditions: Mapping[str, str]) -> str:
    """Conditions in one line."""
    return ", ".join(f"{key} {value}" for key, value in conditions.items())


def flat(conditions: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Every condition by its name, such as `density.components`; a density's own name is that of the density."""
    for key, value in conditions.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}".removesuffix(".name"), show(value)
