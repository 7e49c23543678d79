from __future__ import annotations

from collections.abc import Iterator

import pytest

from dimecli.registry import forget


@pytest.fixture(autouse=True)
def _what_pages_install_is_gone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The distributions of a page are no longer looked up once its test is over."""
    yield
    monkeypatch.undo()
    forget()
