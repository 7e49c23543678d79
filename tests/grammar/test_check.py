from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from strategies import grammars

from dimecli.grammar import Grammar
from dimecli.grammar.check import check
from dimecli.grammar.lengths import shortest_with


@pytest.mark.parametrize(
    "text",
    [
        "%max_len 15\nS -> S '+' T | T\nT -> '(' S ')' | 'x'",
        "%max_len 15\nS -> 'C' S | 'Cl' S | 'x'",  # nothing that begins with l follows C
        "%max_len 6\n%separator ' '\nS -> 'a' S | 'ab' S | 'b'",
        "S -> A A\nA ->",  # no terminals at all
    ],
)
def test_a_good_grammar_has_no_findings(text: str) -> None:
    assert check(Grammar.compile(text)) == []


def test_a_clash_is_named() -> None:
    (finding,) = check(Grammar.compile("%max_len 9\nS -> 'a' S | 'b' S | 'ab' 'c' S | 'x'"))
    assert "terminals clash in the lexer: 'a' begins 'ab'," in finding
    assert finding.endswith("slower; %separator ' ' would part them")
    (finding,) = check(Grammar.compile("%max_len 9\n%forbid 'ab'\nS -> 'a' S | 'b' S | 'ab' 'c' S | 'x'"))
    assert "'a' begins 'ab'," in finding
    (finding,) = check(Grammar.compile("%separator ' '\nS -> 'a' S | 'b' S | 'a b' 'c' S | 'x'", max_len=9))[:1]
    assert finding.endswith("slower")


def test_the_many_terminals_of_a_large_grammar_are_compared_quickly() -> None:
    grammar = Grammar.compile("%max_len 9\nS -> A | S A\nA -> " + " | ".join(f"'t{i}'" for i in range(5000)))
    start = time.process_time()
    assert check(grammar) == []
    assert time.process_time() - start < 5  # a minute if each terminal were held against every other


@pytest.mark.parametrize("constraint", ["", "%limit '+' 3\n"])
def test_ambiguity_comes_with_both_derivations(constraint: str) -> None:
    (finding,) = check(Grammar.compile(f"%max_len 9\n{constraint}S -> S '+' S | 'x'"))
    plus, x = "S -> S '+' S", "S -> 'x'"
    assert finding.startswith("ambiguous: 'x+x+x' is derived as [")
    for derivation in ([plus, plus, x, x, x], [plus, x, plus, x, x]):
        assert f"[{'; '.join(derivation)}]" in finding


def test_productions_too_far_from_the_start() -> None:
    text = "S -> 'a' A | 'z'\nA -> 'b' B | 'c'\nB -> 'd' C | C C\nC -> 'e'\n"
    assert check(Grammar.compile(text, max_len=5)) == []
    (finding,) = check(Grammar.compile(text, max_len=4))
    assert finding.startswith("1 of 7 productions (14%) occur in no sentence of at most 4 productions, 5 would do: ")
    assert finding.endswith("line 3: B -> C C")


@settings(derandomize=True, deadline=None, max_examples=50)
@given(grammars(max_len=7))
def test_shortest_derivation_with_each_production(grammar: Grammar) -> None:
    shortest = dict.fromkeys(range(grammar.pad), np.inf)
    for length in reversed(range(1, grammar.max_len + 1)):
        shortest |= dict.fromkeys(np.unique(grammar.enumerate(length)[:, :length]).tolist(), length)
    for production, length in enumerate(shortest_with(grammar)):
        assert shortest[production] == (length if length <= grammar.max_len else np.inf)
