"""Table 4 in small: its numbers by hand, its search, and a run that is resumed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from dimecli.console import Reporter
from dimecli.plugin import History
from dimecli.registry import make
from dimecli.search.lab import open_lab
from dimecli.search.result import Evaluation, Result
from dimecli_plugins.protocols import table4
from dimecli_plugins.protocols.systems import SYSTEMS, tables
from dimecli_plugins.protocols.table4 import BoxEI, Table4


def _result(values: list[float | None], proposals: int, incomplete: int) -> Result:
    found = [Evaluation(1, index, f"x{index}", value, "", None, (0.0,)) for index, value in enumerate(values)]
    return Result(make("problem", "expression-regression"), [], found, 0, frozenset({"x0"}), proposals, incomplete)


def test_numbers_are_the_papers_and_ours() -> None:
    worst = make("problem", "expression-regression").worst
    numbers = table4._numbers(_result([1.0, 3.0, worst, None], proposals=10, incomplete=2), worst)
    assert numbers == pytest.approx(
        {
            "valid": 0.8,
            "average": 2.0,
            "average over all": (4.0 + 4 * worst) / 6,
            "best": 1.0,
            "novel": 0.75,
            "distinct": 0.4,
            "evaluations": 4,
        }
    )
    empty = table4._numbers(_result([], proposals=0, incomplete=0), worst)
    assert (empty["valid"], empty["average over all"], empty["best"]) == (0, worst, worst)
    nothing = table4._numbers(_result([None, None], proposals=2, incomplete=0), worst)
    assert nothing["average"] is None
    assert nothing["best"] == worst


def test_a_cell_is_a_mean_with_its_standard_error() -> None:
    assert table4._mean([{"a": 1.0}, {"a": 3.0}, {"a": None}], "a") == "2.000 ± 1.000"
    assert table4._mean([{"a": None}], "a") == "none"


@pytest.mark.parametrize("latent_space", ["sphere", "euclidean"])
def test_the_papers_search_stays_in_the_box_and_finds_where_values_are_large(latent_space: str) -> None:
    rng = torch.Generator().manual_seed(0)
    codes = torch.randn(300, 3, generator=rng, dtype=torch.float64)
    codes = codes / codes.norm(dim=1, keepdim=True) if latent_space == "sphere" else codes
    values = codes[:, 0]
    words = [f"w{row}" for row in range(300)]
    space: Any = SimpleNamespace(codes=codes, latent_space=latent_space, decode=lambda z: [None] * len(z))
    zeros = torch.zeros(300, dtype=torch.int64)
    history = History(words, codes, values, zeros == 0, zeros, frozenset(words))
    asked = BoxEI(inducing=50).ask(5, history, space, rng)
    assert asked.codes is not None
    assert asked.mean is not None
    assert len(asked.codes) == 10
    assert (asked.codes >= codes.amin(0) - 1e-9).all() or latent_space == "sphere"
    assert (asked.codes <= codes.amax(0) + 1e-9).all() or latent_space == "sphere"
    if latent_space == "sphere":
        torch.testing.assert_close(asked.codes.norm(dim=1), torch.ones(10, dtype=torch.float64))
    assert asked.codes[0, 0] > values.quantile(0.95)


class _Lab:
    """Trains next to nothing."""

    reporter = Reporter(quiet=True)

    def __init__(self, lab: Any) -> None:
        self.lab = lab
        self.computed = 0

    def train(self, name: str, wanted: Mapping[str, Mapping[str, Any]]) -> Any:
        dataset = {**wanted["dataset"], "size": 700}
        network = {**wanted["network"], "sizes": "paper"}
        return self.lab.train(name, {**wanted, "dataset": dataset, "network": network, "train": {"epochs": 1}})

    def result(self, key: str, compute: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any]:
        def counted() -> Mapping[str, Any]:
            self.computed += 1
            return compute()

        found: Mapping[str, Any] = self.lab.result(key, counted)
        return found


def test_the_whole_table_is_resumable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"_ROUNDS": 1, "_BATCH": 4, "_VOTES": 3, "_POINTS": 200, "_OWN": 50}.items():
        monkeypatch.setattr(table4, name, value)
    protocol = Table4(small=True, seeds=1)
    reports, computed = [], []
    for _ in range(2):
        with open_lab(tmp_path, protocol, Reporter(quiet=True)) as lab:
            small = _Lab(lab)
            reports.append(protocol.run(small))
            computed.append(small.computed)
    assert computed == [9, 0]
    assert reports[0] == reports[1]
    rows = [line for line in reports[0].splitlines() if line.startswith("|")]
    assert len(rows) == 2 + 9
    assert len({row.count("|") for row in rows}) == 1
    for published in ("0.99 ± 0.01", "3.75 ± 0.25", "3.16 ± 0.21"):
        assert published in reports[0]


def test_the_systems_are_experiments() -> None:
    for small in (False, True):
        for system in SYSTEMS:
            wanted = tables(system, small)
            for kind in ("objective", "dataset", "network"):
                make(kind, **wanted[kind])
