"""The contract of searches: what keeps it passes, and each breach is told by the promise that it breaks."""

from __future__ import annotations

import pytest
from searches_to_try import (
    Adrift,
    Babbling,
    Baseline,
    Blind,
    Downhill,
    Few,
    Flat,
    GlobalNoise,
    Good,
    Infinite,
    Lost,
    Narrow,
    Needy,
    Off,
    Other,
    Refusing,
    Repeating,
    Scribbling,
    Stubborn,
    Tireless,
    Unprepared,
    Unseeded,
    Vague,
)

from dimecli.plugin import Search
from dimecli.testing import Contract
from dimecli.testing.searches import check_search


def broken(search: Search) -> dict[str, str]:
    """What is wrong, by the promise that is broken, on any latent space."""
    contract = Contract()
    with contract.section():
        check_search(contract, search)
    assert contract.findings
    found: dict[str, str] = {}
    for finding in contract.findings:
        if not finding.held:
            found.setdefault(finding.promise, finding.reason)
    return found


SENTENCES = "what it proposes are sentences of the grammar, with what it expects of them"
CODES = "codes are those that the sentences were decoded from, and stay in the latent space"
NEW = "as many candidates are new as it is asked for"
SAME = "the same generator and history give the same candidates"
EMPTY = "without a history it gives candidates too, or a UserError says what is missing"
BEST = "the best that it finds is not worse than the best of as many words at random"
BETTER = "what it proposes becomes better than words at random"
BROKEN: list[tuple[type[Search], str, str]] = [
    (Few, NEW, "5 new sentences of 10 asked for"),
    (Stubborn, NEW, "0 new sentences of 10 asked for"),
    (Repeating, NEW, "1 new sentences of 10 asked for"),
    (Off, CODES, "codes leave the unit sphere; divide them by their length"),
    (Other, CODES, "codes decode to other sentences"),
    (Infinite, CODES, "the codes of 10 candidates has NaN or infinite values"),
    (Lost, CODES, "the codes of 10 candidates is (9, 3); return (10, 3)"),
    (Adrift, CODES, "10 times the longest of space.codes is 23.3; stay near those"),
    (Vague, SENTENCES, "the mean of 10 candidates has NaN or infinite values"),
    (Babbling, SENTENCES, "['!', '!!', '!!!'] are no sentences"),
    (Unseeded, SAME, "they give others; draw from `rng` only"),
    (GlobalNoise, "it gives candidates", "it draws from torch's global generator"),
    (Scribbling, "it leaves what it is given as it was", "ask changes the history or the codes"),
    (Downhill, BETTER, "mind that larger values are better"),
    (Blind, BETTER, "that of words at random -3.39; mind that larger values are better, let them decide where to look"),
    (Narrow, BEST, "draws at random give -0.329; let it look anywhere in the space"),
    (Unprepared, EMPTY, "max(): Expected reduction dim"),
    (Tireless, "with nothing left to find it ends", "it refuses: everything is known; give no candidates"),
    (Refusing, "it gives candidates", "with its defaults it refuses: --power is missing"),
]


@pytest.mark.parametrize("search", [Good, Needy, Flat, Baseline])
def test_a_good_search_keeps_every_promise(search: type[Search]) -> None:
    assert not broken(search())


@pytest.mark.parametrize(("search", "promise", "reason"), BROKEN)
def test_a_breach_is_told_by_its_promise(search: type[Search], promise: str, reason: str) -> None:
    found = broken(search())
    assert reason in found[promise]
    assert found.keys() <= {promise} | ({SAME, BETTER} if search is Scribbling else set())
