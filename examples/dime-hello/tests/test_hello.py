"""The objective keeps the contract, and does what it says."""

from dimecli.testing import check_plugin


def test_contract() -> None:
    check_plugin("objective", "hello")
