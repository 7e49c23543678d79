"""`kd`: its options decide the value and are told with it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from dimecli.errors import UserError
from dimecli.evaluation.distances import kernel_distance
from dimecli.evaluation.subject import Subject
from dimecli.registry import make
from dimecli.testing.runs import tiny_runs


def test_subsets_are_conditions(tmp_path: Path) -> None:
    subject = Subject(dict(tiny_runs(tmp_path))["deterministic codes of vectors"], n=50)
    rows = list(make("metric", "kd", subsets=7, subset_size=20).measure(subject))
    assert [row.name for row in rows][:2] == ["kd[values]/samples", "kd[values]/reconstruction"]
    assert {(row.conditions["subsets"], row.conditions["subset_size"]) for row in rows} == {(7, 20)}
    mean, std = kernel_distance(subject.samples.x, subject.data, subject.rng("kd subsets of samples"), 7, 20)
    assert rows[0].value == mean
    assert rows[0].remark == f"Standard deviation over the subsets: {std:.3g}."


@pytest.mark.parametrize(("option", "value"), [("subsets", 0), ("subset_size", 1)])
def test_bounds(option: str, value: int) -> None:
    with pytest.raises(UserError, match=f"metric 'kd': {option}: .*greater than or equal to"):
        make("metric", "kd", **{option: value})


def test_it_is_near_zero_for_the_same_law(tmp_path: Path) -> None:
    run = dict(tiny_runs(tmp_path))["deterministic codes of vectors"]
    rows = {row.name: row for row in make("metric", "kd", subsets=1).measure(Subject(run, n=60))}
    x = run.samples("test").x
    assert isinstance(x, torch.Tensor)
    far, _ = kernel_distance(x + 1, x, torch.Generator(), 1, 60)
    assert abs(rows["kd[values]/floor"].value) < far / 20
