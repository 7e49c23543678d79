from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from reference import every
from strategies import grammar_texts

import dimecli_grammars
from dimecli.grammar import Grammar
from dimecli.grammar.parse import ParseError

SEPARATORS = ("", " ", ",", ", ", "a")
SPELLINGS = (
    ("a", "b", "c", "(", ")"),
    ("C", "Cl", "l", "[", "[l"),
    ("<", "<<", "=", "<=", "=="),
    ("a", "aa", "aab", "b", "ba"),
    ("a b", "a", "b", " ", "ab"),
)
DOUBLING = "%max_len 277\nS -> S S | 'x'"


def bundled(name: str) -> Grammar:
    return Grammar.load(Path(dimecli_grammars.__file__).parent / f"{name}.cfg")


def sentence(grammar: Grammar, derivation: tuple[int, ...]) -> str:
    """By rewriting the leftmost nonterminal."""
    done: list[str] = []
    pending: list[Any] = [grammar.rules.start]
    for number in derivation:
        while isinstance(pending[0], str):
            done.append(pending.pop(0))
        pending[:1] = grammar.productions[number].rhs
    return grammar.rules.separator.join(done + pending)


@st.composite
def spelled_grammars(draw: st.DrawFn) -> Grammar:
    """Random grammars whose terminals are parts of each other, with all sorts of separators."""
    spelling = dict(zip("abc()", draw(st.sampled_from(SPELLINGS)), strict=True))
    text = re.sub("'(.)'", lambda match: f"'{spelling[match[1]]}'", draw(grammar_texts(max_len=6)))
    separator = draw(st.sampled_from(SEPARATORS))
    return Grammar.compile(f"%separator '{separator}'\n{text}" if separator else text)


def lengths(grammar: Grammar, ids: NDArray[Any]) -> list[int]:
    return [int(n) for n in (ids != grammar.pad).sum(axis=1)]


@settings(derandomize=True, deadline=None, max_examples=150)
@given(spelled_grammars(), st.data())
def test_the_language_and_nothing_else_is_accepted_with_a_shortest_derivation(
    grammar: Grammar, data: st.DataObject
) -> None:
    shortest: dict[str, int] = {}
    for derivation in every(grammar):
        text = sentence(grammar, derivation)
        shortest[text] = min(len(derivation), shortest.get(text, 99))
    ids, reasons = grammar.parse_all(list(shortest))
    assert not reasons
    assert lengths(grammar, ids) == list(shortest.values())
    assert grammar.unparse_all(ids) == list(shortest)
    pieces = st.lists(st.sampled_from([*grammar.terminals, "q"]), max_size=4)
    strange = [grammar.rules.separator.join(row) for row in data.draw(st.lists(pieces, max_size=10))]
    ids, reasons = grammar.parse_all(strange)
    assert {index for index, text in enumerate(strange) if text not in shortest} == set(reasons)
    assert (ids[list(reasons)] == grammar.pad).all()


def nltk_derivation(parser: Any, grammar: Grammar, tokens: list[str]) -> list[int]:
    """Ids of the productions, in preorder, of the first tree of nltk's parser."""
    number = {str(production).strip(): index for index, production in enumerate(grammar.productions)}
    return [number[str(production).strip()] for production in next(parser.parse(tokens)).productions()]


LISTS = "%max_len 40\nS -> '[' I ']'\nI -> | N\nN -> E | E ',' N\nE -> S | D\nD -> C\nC -> '0' | '1' D"
PRECEDENCE = "%max_len 30\nS -> S '+' P | P\nP -> P '*' F | F\nF -> '-' F | A '^' F | A\nA -> '(' S ')' | 'x'"
PALINDROMES = "%max_len 18\nS -> '0' S '0' | '1' S '1' | '0' | '1' |"


@pytest.mark.parametrize(
    ("grammar", "method", "token", "n"),
    [
        (bundled("expressions"), "LALR(1)", r"sin\(|exp\(|.", 2500),
        (Grammar.compile(LISTS), "LALR(1)", ".", 300),
        (Grammar.compile(PRECEDENCE), "LALR(1)", ".", 300),
        (Grammar.compile(PALINDROMES), "Earley", ".", 200),
    ],
    ids=["expressions", "lists", "precedence", "palindromes"],
)
def test_productions_agree_with_the_chart_parser_of_nltk(grammar: Grammar, method: str, token: str, n: int) -> None:
    from nltk import CFG, ChartParser

    parser = ChartParser(CFG.fromstring(list(map(str, grammar.productions))))
    assert grammar.parser.method == method
    ids = grammar.sample(n, np.random.default_rng(1), "length")
    sentences = [sentence(grammar, tuple(row[row < grammar.pad].tolist())) for row in ids]
    parsed, reasons = grammar.parse_all(sentences)
    assert not reasons
    for text, row in zip(sentences, parsed, strict=True):
        assert row[row < grammar.pad].tolist() == nltk_derivation(parser, grammar, re.findall(token, text))


@pytest.mark.parametrize("name", ["boolean", "expressions", "expressions_infix", "rna", "smiles"])
def test_bundled_grammars_read_what_they_write(name: str) -> None:
    grammar = bundled(name)
    assert grammar.parser.method == "LALR(1)"
    ids = grammar.sample(400, np.random.default_rng(2), "length")
    parsed, reasons = grammar.parse_all([text for text in grammar.unparse_all(ids) if text is not None])
    assert not reasons
    np.testing.assert_array_equal(parsed, ids)
    np.testing.assert_array_equal(grammar.parse(grammar.unparse(ids[0])), ids[0])


@pytest.mark.parametrize(
    ("text", "method", "sentences"),
    [
        ("S -> S 'a' | 'a'", "LALR(1)", ["a", "aaaa"]),
        ("S -> 'a' S | 'a'", "LALR(1)", ["a", "aaaa"]),
        ("S -> S 'a' |", "LALR(1)", ["", "aaaa"]),
        ("S -> A\nA -> B\nB -> C\nC -> 'c' S | 'd'", "LALR(1)", ["ccd"]),
        ("S -> A B 'x'\nA -> 'a' |\nB -> 'b' |", "LALR(1)", ["x", "ax", "bx", "abx"]),
        ("S -> A 'x' 'x' 'x' S | 'y'\nA ->", "LALR(1)", ["xxx" * 9 + "y"]),
        ("S -> A S | A\nA -> 'C' | 'Cl' | 'l' 'l'", "Earley", ["CCl", "Cll", "CClllCl"]),
        ("S -> A S | A\nA -> 'S' | 'c' | '[' 'Sc' ']'", "LALR(1)", ["Sc", "[Sc]Sc"]),
        ("S -> S 'or' S | 'x' | 'xor'", "Earley", ["xorxor", "xorxorxor", "xororx"]),
    ],
)
def test_recursion_empty_rules_unit_chains_and_terminals_within_terminals(
    text: str, method: str, sentences: list[str]
) -> None:
    grammar = Grammar.compile(f"%max_len 20\n{text}")
    assert grammar.parser.method == method
    ids, reasons = grammar.parse_all(sentences)
    assert not reasons
    assert grammar.unparse_all(ids) == sentences


def test_white_space_does_not_count_unless_a_terminal_has_some() -> None:
    rules = "%max_len 20\nS -> S '+' T | T\nT -> 'sin(' S ')' | '12'"
    for separator, written in (
        ("", " sin( 12 +12)\t+\u00a012\n"),
        (" ", "  sin( 12\t+ 12 ) +  12 "),
        (", ", "12,+ ,12"),
    ):
        grammar = Grammar.compile(f"%separator '{separator}'\n{rules}" if separator else rules)
        bare = re.sub(r"\s", "", written)
        assert re.sub(r"\s", "", grammar.unparse(grammar.parse(written))) == bare
    grammar = Grammar.compile("%max_len 20\nS -> S ' + ' T | T\nT -> 'x'")
    assert grammar.unparse(grammar.parse("x + x")) == "x + x"
    for strange in ("x+x", "x +x", " x + x", "x  +  x"):
        with pytest.raises(ParseError):
            grammar.parse(strange)


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("x+", "character 3: the end where '(', 'sin(', 'exp(', 'x', '1' or 2 more is expected"),
        ("x + y", "character 5: 'y' where '(', 'sin(', 'exp(', 'x', '1' or 2 more is expected"),
        ("sin(x))", "character 7: ')' where '+', '*', '/', the end is expected"),
        ("", "character 1: the end where '(', 'sin(', 'exp(', 'x', '1' or 2 more is expected"),
        ("(((((((x)))))))", "no derivation of at most 15 productions"),
        ("x" * 100_000, "100,000 characters are more than 15 productions can derive"),
    ],
)
def test_a_reason_says_where_what_was_found_and_what_is_expected(written: str, reason: str) -> None:
    with pytest.raises(ParseError) as failure:
        bundled("expressions").parse(written)
    assert str(failure.value) == reason


def test_a_reason_of_earleys_parser_says_the_same() -> None:
    grammar = Grammar.compile("%separator ' '\n%max_len 9\nS -> S 'and' S | 'x'")
    _, reasons = grammar.parse_all(["x  and", "x", "x and y", "and", " ".join(["x"] + ["and x"] * 5)])
    assert reasons == {
        0: "character 7: the end where 'x' is expected",
        2: "character 7: 'y' where 'x' is expected",
        3: "character 1: 'and' where 'x' is expected",
        4: "31 characters are more than 9 productions can derive",
    }


HARD = ("%max_len 277\nS -> 'x' S S | 'x' S | 'x' S 'x' | S S 'x' | 'x'", "%max_len 277\nS -> S 'x' S |")


@pytest.mark.parametrize("text", [DOUBLING, *HARD, "%max_len 277\nS -> '(' S ')' | 'x'", "%max_len 277\nS -> 'x' S |"])
def test_no_text_makes_the_parser_hang_or_recurse(text: str) -> None:
    grammar = Grammar.compile(text)
    noise = np.random.default_rng(0).integers(0, 0x3000, (20, 100))
    texts = [
        "x" * 100_000,
        "(" * 10_000 + "x" + ")" * 10_000,
        "x" * 139,
        "x" * 138 + "q",
        "(" * 138 + "x",
        "\0\r\n\x1b",
    ]
    texts += ["".join(map(chr, row)) for row in noise]
    ids, reasons = grammar.parse_all(texts)
    for index, found in enumerate(grammar.unparse_all(ids)):
        assert found == texts[index] if index not in reasons else len(reasons[index]) < 150
        assert reasons.get(index, "").isprintable()
    assert len(reasons) > len(noise)


def test_the_most_ambiguous_grammar_is_parsed_up_to_its_longest_sentence() -> None:
    grammar = Grammar.compile(DOUBLING)
    (ids,), reasons = grammar.parse_all(["x" * 139])
    assert not reasons
    assert grammar.unparse(ids) == "x" * 139


def test_an_ambiguous_sentence_is_parsed_if_one_of_its_derivations_is_short_enough() -> None:
    grammar = Grammar.compile("%max_len 4\nS -> A A A | 'b' S\nA -> B | 'a'\nB -> C\nC -> 'a' | 'c'")
    assert grammar.unparse(grammar.parse("aaa")) == "aaa"
    with pytest.raises(ParseError, match="no derivation of at most 4 productions"):
        grammar.parse("bca")


def test_what_is_empty_is_derived_in_the_shortest_way() -> None:
    grammar = Grammar.compile("%max_len 9\nS -> A 'x'\nB ->\nA -> B B |")
    assert grammar.parser.method == "Earley"
    assert lengths(grammar, grammar.parse("x")[None]) == [2]
    grammar = Grammar.compile("%max_len 3\nS -> A A A | 'a' | B\nB -> 'a'\nA ->")
    assert grammar.parser.method == "Earley"
    with pytest.raises(ParseError, match="no derivation of at most 3 productions"):
        grammar.parse("")


@pytest.mark.parametrize(
    ("separator", "written", "reason"),
    [
        (", ", "a c", "character 3: 'c' where ',' is expected"),
        (", ", "a, ac", "character 5: 'c' where ',' is expected"),
        (" ", "a\tac", "character 4: 'c' where ' ' is expected"),
        ("--", "a-c", "character 2: '-' where '--' is expected"),
        (", ", "abc", "character 3: 'c' where ',' is expected"),
        ("--", "a--c--", "character 5: '--' where the end is expected"),
        (", ", "a, c ,", "character 6: ',' where the end is expected"),
        (", ", "a, a,", "character 6: the end where 'a', 'ab', 'c' is expected"),
        (", ", "a,, c", "character 3: ',' where 'a', 'ab', 'c' is expected"),
        (", ", "", "character 1: the end where 'a', 'ab', 'c' is expected"),
    ],
)
def test_a_reason_says_where_a_separator_is_missing_or_too_many(separator: str, written: str, reason: str) -> None:
    grammar = Grammar.compile(f"%separator '{separator}'\n%max_len 9\nS -> 'a' S | 'ab' S | 'c'")
    assert grammar.parse_all([written])[1] == {0: reason}


@pytest.mark.parametrize(
    ("separator", "rules", "written", "reason"),
    [
        (",", "S -> 'a' S |", "a,aa", "character 4: 'a' where ',' is expected"),  # and not the end
        (",", "S -> 'a' 'a,' 'a'", "a,,a", "character 1: 'a,' where 'a' is expected"),  # no 'a' without a separator
        ("a", "S -> 'ba' S | 'c'", "baab", "character 4: 'b' where 'ba', 'c' is expected"),  # 'ba' only with one
    ],
)
def test_reasons_where_a_separator_could_be_something_else(
    separator: str, rules: str, written: str, reason: str
) -> None:
    grammar = Grammar.compile(f"%separator '{separator}'\n%max_len 9\n{rules}")
    assert grammar.parse_all([written])[1] == {0: reason}


def test_a_line_break_is_no_sentence_where_white_space_counts() -> None:
    grammar = Grammar.compile("%max_len 9\nS -> 'x' S | ' ' S | 'x'")
    assert grammar.parse_all(["x x", "x\nx", "x\n"])[1] == {
        1: "character 2: '\\n' where 'x', ' ', the end is expected",
        2: "character 2: '\\n' where 'x', ' ', the end is expected",
    }


def test_five_expected_tokens_are_named_and_reasons_are_in_order() -> None:
    grammar = Grammar.compile("%max_len 9\nS -> 'a' | 'b' | 'c' | 'd' | 'e' | 'e' 'x'")
    _, reasons = grammar.parse_all(["f", "x" * 99, "a", "f"])
    assert list(reasons) == [0, 1, 3]
    assert reasons[0] == "character 1: 'f' where 'a', 'b', 'c', 'd', 'e' is expected"


@pytest.mark.parametrize("rules", ["S -> S '+' T | T\nT -> 'x' | 'y'", "S -> S '+' S | 'x' | 'y'"])
def test_sentences_of_constrained_grammars_are_held_to_the_constraints(rules: str) -> None:
    grammar = Grammar.compile(f"%max_len 9\n%limit 'x' 1\n{rules}")
    ids, reasons = grammar.parse_all(["x+y", "x+x", "y", "x+"])
    assert sorted(reasons) == [1, 3]
    assert grammar.unparse_all(ids) == ["x+y", None, "y", None]
    assert grammar.base is not None
    origin = [grammar.origin[number] for number in ids[0] if number < grammar.pad]
    assert grammar.base.unparse(origin) == "x+y"


def test_no_sentences_give_no_rows() -> None:
    ids, reasons = bundled("expressions").parse_all([])
    assert ids.shape == (0, 15)
    assert ids.dtype == np.int16
    assert not reasons


def test_a_batch_of_sentences_of_any_length_gives_what_each_gives_alone() -> None:
    grammar = bundled("rna")
    texts = [text or "" for text in grammar.unparse_all(grammar.sample(9, np.random.default_rng(3), "length"))]
    texts = [*texts, "(", "....)", *texts] * 400  # more than run together
    ids, reasons = grammar.parse_all(texts)
    for index in (*range(20), *range(len(texts) - 20, len(texts))):
        if index in reasons:
            with pytest.raises(ParseError, match=re.escape(reasons[index])):
                grammar.parse(texts[index])
        else:
            np.testing.assert_array_equal(grammar.parse(texts[index]), ids[index])
