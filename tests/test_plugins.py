"""Every built-in plugin keeps the contract that third parties' plugins are held to."""

from __future__ import annotations

from pathlib import Path

import pytest

from dimecli.plugin import KINDS
from dimecli.registry import registered
from dimecli.testing import check_plugin

BUILT_IN = [(kind, entry.name) for kind in KINDS for entry in registered(kind) if entry.distribution == "dimecli"]
MARKS: dict[tuple[str, str], list[pytest.MarkDecorator]] = {
    ("density", "flow"): [pytest.mark.slow],  # these two train networks, four times and twice
    ("density", "two-stage"): [pytest.mark.slow],
    ("executor", "dask"): [pytest.mark.slow],  # each start imports the library in every worker
    ("tracker", "mlflow"): [pytest.mark.filterwarnings("ignore::DeprecationWarning")],  # of what it imports
}


def test_there_are_some_of_every_kind() -> None:
    assert {kind for kind, _ in BUILT_IN} == set(KINDS)


@pytest.mark.parametrize(
    ("kind", "name"),
    [pytest.param(*plugin, marks=MARKS.get(plugin, [])) for plugin in BUILT_IN],
)
def test_built_in(kind: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # data that happen to lie around would take long
    monkeypatch.delenv("DIME_DATA", raising=False)
    unchecked = check_plugin(kind, name)
    if unchecked:
        assert kind in ("dataset", "problem", "executor", "metric", "tracker")
        pytest.skip(unchecked)
