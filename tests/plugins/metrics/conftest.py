from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from dimecli.evaluation.subject import Subject
from dimecli.testing.runs import TinyRun, tiny_runs


@pytest.fixture
def tiny(tmp_path: Path) -> dict[str, TinyRun]:
    """Tiny runs by their names, such as `spherical codes of images`."""
    return dict(tiny_runs(tmp_path))


@pytest.fixture
def of_codes(tiny: dict[str, TinyRun]) -> Callable[..., Subject]:
    """Gives what metrics of codes measure: `of_codes(codes, sphere=False)`."""

    def give(codes: torch.Tensor, sphere: bool = True) -> Subject:
        subject = Subject(tiny[f"{'spherical' if sphere else 'deterministic'} codes of vectors"], n=len(codes))
        subject.__dict__["codes"] = codes  # in place of what the run encodes
        return subject

    return give
