"""The contract of protocols: what keeps it passes, and each breach is told by the promise that it breaks."""

from __future__ import annotations

from typing import Any

import pytest

from dimecli.errors import UserError
from dimecli.plugin import Lab, Protocol
from dimecli.testing import Contract, Finding
from dimecli.testing.protocols import check_protocol

TRAINS = "what it trains names plugins and options that there are"
WORKS = "it trains or measures in its lab, where it can go on after an interruption"
NAMES = "each of its runs has a name of its own"
TABLES: dict[str, Any] = {
    "objective": {"name": "vae", "beta": 0.5},
    "dataset": {"name": "digits"},
    "train": {"epochs": 3},
}


def findings(protocol: Protocol) -> list[Finding]:
    contract = Contract(asks=True)
    with contract.section():
        check_protocol(contract, protocol)
    return contract.findings


class Good(Protocol):
    """Two runs, the first of which is looked at."""

    def run(self, lab: Lab) -> str:
        runs = [lab.train(str(beta), {**TABLES, "objective": {"name": "vae", "beta": beta}}) for beta in (0.1, 1.0)]
        try:
            return f"{runs[0].results['terms']}"
        except Exception:
            return "no result"


class Careful(Good):
    """Measures at once."""

    def run(self, lab: Lab) -> str:
        return str(lab.result("one", lambda: 1 / 0))  # type: ignore[arg-type, return-value]


class Own(Good):
    """Trains where nobody sees it."""

    def run(self, lab: Lab) -> str:
        return "0.95"


class Twice(Good):
    """Two runs of one name."""

    def run(self, lab: Lab) -> str:
        for epochs in (1, 2):
            lab.train("vae", {**TABLES, "train": {"epochs": epochs}})
        return ""


class Needy(Good):
    """Needs data that are not here."""

    def run(self, lab: Lab) -> str:
        raise UserError("the data are missing; download them")


def training(**tables: Any) -> Protocol:
    """A protocol that trains a run with some other tables."""

    class Broken(Protocol):
        """Trains one run."""

        def run(self, lab: Lab) -> str:
            lab.train("one", {table: options for table, options in (TABLES | tables).items() if options is not None})
            return ""

    return Broken()


@pytest.mark.parametrize("protocol", [Good(), Careful(), training(network={"name": "mlp"})])
def test_a_good_protocol_keeps_every_promise(protocol: Protocol) -> None:
    found = findings(protocol)
    assert [finding.promise for finding in found] == [TRAINS, WORKS, NAMES]
    assert all(finding.held for finding in found)


@pytest.mark.parametrize(
    ("tables", "reason"),
    [
        ({"objective": {"name": "vea"}}, "no objective named 'vea'"),
        ({"objective": {"name": "vae", "gamma": 1.0}}, "no option 'gamma'"),
        ({"dataset": {"name": "digits", "validation": 2.0}}, "less than 1"),
        ({"network": {"name": "nobody"}}, "no network named 'nobody'"),
        ({"train": {"epochs": 0}}, "greater than or equal to 1"),
        ({"trian": {"epochs": 3}}, "has tables ['trian']; use some of dataset, network, objective, train"),
        ({"dataset": None}, "has no table [dataset]; give one, with the plugin's name"),
    ],
)
def test_what_it_trains_has_to_be_there(tables: Any, reason: str) -> None:
    (found,) = findings(training(**tables))
    assert (found.promise, found.held) == (TRAINS, False)
    assert found.reason.startswith("lab.train('one', ...)")
    assert reason in found.reason


@pytest.mark.parametrize(
    ("protocol", "promise", "reason"),
    [
        (Own, WORKS, "it asks the lab for nothing"),
        (Twice, NAMES, "['vae'] are trained in several ways; give each a name of its own"),
    ],
)
def test_a_breach_is_told_by_its_promise(protocol: type[Protocol], promise: str, reason: str) -> None:
    found = {finding.promise: finding.reason for finding in findings(protocol()) if finding.held is False}
    assert list(found) == [promise]
    assert reason in found[promise]


def test_what_is_not_here_is_told() -> None:
    (found,) = findings(Needy())
    assert (found.promise, found.held, found.reason) == (TRAINS, None, "the data are missing; download them")
