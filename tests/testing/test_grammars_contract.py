"""The contract of grammars: what keeps it passes, and each breach is told by the promise that it breaks."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import ClassVar

import pytest

from dimecli.grammar import Grammar
from dimecli.grammar.semantics import Semantics
from dimecli.plugin import Language
from dimecli.testing import Contract
from dimecli.testing.languages import check_language

SOURCE = "source 'some' gives sentences of the grammar"
COMPILES = "it compiles, and has sentences of its greatest length or less"
numbers = count()


def broken(language: Language) -> dict[str, str]:
    """What is wrong, by the promise that is broken."""
    contract = Contract()
    with contract.section():
        check_language(contract, language)
    assert contract.findings
    return {finding.promise: finding.reason for finding in contract.findings if not finding.held}


class Good(Language):
    """Words of a and b."""

    sources: ClassVar = {"some": lambda: ("b", "ab")}

    def text(self) -> str:
        return "%max_len 3\nS -> 'a' S | 'b'"


class Endless(Good):
    """Never ends."""

    def text(self) -> str:
        return "S -> 'a' S"


class Brief(Good):
    """Ends later than it may."""

    def text(self) -> str:
        return "%max_len 2\nS -> 'a' T\nT -> 'b' U\nU -> 'c'"


class Growing(Good):
    """Is another grammar every time."""

    def text(self) -> str:
        return super().text() + f" | 'c{next(numbers)}'"


class Fickle(Good):
    """Compiles to another grammar every time."""

    def compile(self) -> Grammar:
        return Grammar.compile(f"%max_len 3\nS -> 'a' S | 'b' | 'c{next(numbers)}'")


class Strangers(Good):
    """Brings along what it does not derive."""

    sources: ClassVar = {"some": lambda: ("b", "abc")}


class Empty(Good):
    """Brings nothing along."""

    sources: ClassVar = {"some": lambda: ()}


class Mute(Good):
    """Does not say what b means."""

    def semantics(self) -> Semantics:
        return Semantics(variables=("a",))


class Aimless(Good):
    """Goes with a problem that nobody has."""

    problem = "nobody"


def test_a_good_grammar_keeps_every_promise() -> None:
    assert not broken(Good())


@pytest.mark.parametrize(
    ("language", "promise", "reason"),
    [
        (Endless, COMPILES, "with its defaults it refuses: "),
        (Brief, COMPILES, "with its defaults it refuses: "),
        (Growing, "two compilations give the same productions", "let text() depend on the options alone"),
        (Fickle, "two compilations give the same productions", "let text() depend on the options alone"),
        (Strangers, SOURCE, "'abc': "),
        (Empty, SOURCE, "it has no sentences; leave it out of `sources`"),
        (Mute, "semantics(), where there are any, say what every terminal means", "they do not say what ['b'] mean"),
        (Aimless, "the problem that it is published with is installed", "no problem 'nobody'; name an installed one"),
    ],
)
def test_a_breach_is_told_by_its_promise(language: type[Language], promise: str, reason: str) -> None:
    found = broken(language())
    assert list(found) == [promise]
    assert reason in found[promise]


def test_a_grammar_that_does_not_complete_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    real: Callable[..., object] = Grammar.decode

    class Undone:
        def __init__(self, decoded: object) -> None:
            self.complete = ~decoded.complete  # type: ignore[attr-defined]

    monkeypatch.setattr(Grammar, "decode", lambda *args: Undone(real(*args)))
    assert list(broken(Good())) == ["every derivation is completed, whatever the logits"]
