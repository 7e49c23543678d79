"""`fid` and `kid` from the command line, without weights; with them they are tested beside the network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dimecli.testing import check_plugin

Dime = Callable[..., Any]


def test_without_weights(dime: Dime) -> None:
    assert dime("train", "--epochs", "1", "--quiet").code == 0
    refused = dime("evaluate", "--metric", "fid,kid", "-n", "100")
    assert refused.code == 2
    for name in ("fid", "kid"):
        assert f"Warning: {name}: the weights of Inception are missing; give --inception-weights FILE" in refused.err
    missing = dime("evaluate", "--metric", "fid,kid", "-n", "100", "--inception-weights", "none.pth")
    assert missing.code == 2
    for name in ("fid", "kid"):
        assert f"Warning: {name}: --inception-weights none.pth: no such file; allowed: weights-inception" in missing.err


@pytest.mark.parametrize("name", ["fid", "kid"])
def test_its_check_says_what_is_missing(name: str) -> None:
    assert "the weights of Inception are missing" in (check_plugin("metric", name) or "")
