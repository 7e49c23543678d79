from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from reference import every
from strategies import grammars
from test_parse import bundled

from dimecli.grammar import Grammar
from dimecli.grammar.ambiguity import find_ambiguity


@settings(derandomize=True, deadline=None, max_examples=100)
@given(grammars(max_len=6))
def test_ambiguity_is_found_where_there_is_some_among_the_short_sentences(grammar: Grammar) -> None:
    derivations = every(grammar)
    ambiguous = len({grammar.unparse(derivation) for derivation in derivations}) < len(derivations)
    found = find_ambiguity(grammar)
    assert (found is not None) is ambiguous
    if found:
        assert grammar.unparse(found.first) == grammar.unparse(found.second) == found.sentence
        assert (found.first != found.second).any()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("S -> S S | 'x'", "xxx"),
        ("S -> 'if' S | 'if' S 'else' S | 'x'", "ififxelsex"),
        ("S -> 'a' S | 'aa' S | 'b'", "aab"),  # only the text is ambiguous
    ],
)
def test_the_evidence_is_a_shortest_sentence(text: str, sentence: str) -> None:
    found = find_ambiguity(Grammar.compile(f"%max_len 100\n{text}"))
    assert found is not None
    assert found.sentence == sentence


def test_ambiguity_is_found_in_sentences_too_long_to_enumerate() -> None:
    letters = " | ".join(f"'{letter}'" for letter in "abcefghijk")
    text = f"%max_len 60\nS -> A A A A A A\nA -> {letters} | '(' A ')' '!' | '(' '(' A ')' '!' ')' '!'"
    grammar = Grammar.compile(text)
    found = find_ambiguity(grammar)
    assert found is not None
    assert grammar.unparse(found.first) == grammar.unparse(found.second) == found.sentence
    again = find_ambiguity(grammar)
    assert again is not None
    assert again.sentence == found.sentence


def test_sentences_that_only_white_space_tells_apart_are_one() -> None:
    grammar = Grammar.compile("%max_len 1\n%separator ' b'\nS -> 'a' 'bc' | 'ab' 'c' | 'a'")
    found = find_ambiguity(grammar)
    assert found is not None
    assert {grammar.unparse(found.first), grammar.unparse(found.second)} == {"a bbc", "ab bc"}
    assert found.sentence in ("a bbc", "ab bc")
    assert grammar.parse("a bbc").tolist() == grammar.parse("ab bc").tolist()


def test_it_takes_no_longer_where_derivations_may_be_long() -> None:
    rules = "S -> S '+' T | T '-' S 'k' | T\nT -> '(' S ')' | 'x' | U\nU -> 'y' | 'y' U S U '.' | 'z' S T"
    start = time.process_time()
    assert find_ambiguity(Grammar.compile(f"%max_len 3000\n{rules}")) is None
    assert time.process_time() - start < 10  # forty seconds if all derivations were counted
    found = find_ambiguity(Grammar.compile(f"%max_len 3000\n{rules} | 'z' T S"))
    assert found is not None
    assert len(found.first) == len(found.second) == 3000
    grammar = Grammar.compile(f"%max_len 3000\n{rules} | 'z' T S")
    assert grammar.unparse(found.first) == grammar.unparse(found.second) == found.sentence


@pytest.mark.parametrize(
    "text", ["S -> '0' S '0' | '1' S '1' | '0' | '1' |", "S -> A 'b' | B 'c'\nA -> A 'a' |\nB -> B 'a' |"]
)
def test_nothing_is_found_in_unambiguous_grammars_without_tables(text: str) -> None:
    grammar = Grammar.compile(f"%max_len 40\n{text}")
    assert grammar.parser.method == "Earley"
    assert find_ambiguity(grammar) is None


@pytest.mark.parametrize("name", ["boolean", "expressions", "expressions_infix", "rna", "smiles"])
def test_bundled_grammars_are_unambiguous(name: str) -> None:
    assert find_ambiguity(bundled(name)) is None


def test_constraints_are_left_out_of_account() -> None:
    grammar = Grammar.compile("%max_len 9\n%limit 'y' 1\nS -> S '+' S | 'x' | 'y'")
    found = find_ambiguity(grammar)
    assert found is not None
    assert grammar.base is not None
    assert grammar.base.unparse(found.first) == grammar.base.unparse(found.second) == found.sentence
