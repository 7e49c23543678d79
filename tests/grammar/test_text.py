from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import grammars

from dimecli.errors import UserError
from dimecli.grammar import Grammar
from dimecli.grammar.rules import Constraint, Nonterminal, Production, Rules
from dimecli.grammar.text import MAX_BYTES, read_file, read_rules, write_text

S, A = Nonterminal("S"), Nonterminal("A")


def shape(text: str) -> list[tuple[str, tuple[object, ...], float | None, int]]:
    return [(p.lhs.name, p.rhs, p.weight, p.line) for p in read_rules(text, "g.cfg").productions]


def test_weighted_rules_agree_with_nltk() -> None:
    from nltk import PCFG

    text = "S -> NP VP [1.0]\nNP -> 'the' N [0.25] | \"it's\" [0.75]\nN -> 'cat' [0.5] | '[0.5]' [.5]\nVP -> 'sat' [1]"
    expected = [
        (str(p.lhs()), tuple(s if isinstance(s, str) else str(s) for s in p.rhs()), p.prob())
        for p in PCFG.fromstring(text).productions()
    ]
    found = [
        (p.lhs.name, tuple(s if isinstance(s, str) else s.name for s in p.rhs), p.weight)
        for p in read_rules(text, "g").productions
    ]
    assert found == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("S -> 'a' S [7] | 'b'", [("S", ("a", S), 7.0, 1), ("S", ("b",), None, 1)]),
        ("# c\n\nS -> 'a'\n  | '#' [2e3] # end", [("S", ("a",), None, 3), ("S", ("#",), 2000.0, 4)]),
        ("S->'a'|", [("S", ("a",), None, 1), ("S", (), None, 1)]),
        ("S -> | 'a' ''", [("S", (), None, 1), ("S", ("a",), None, 1)]),
        ("S -> '|' \"->\" '[1]'", [("S", ("|", "->", "[1]"), None, 1)]),
        ("S -> 'a' \\\n 'b'\r\nA -> 'ü'", [("S", ("a", "b"), None, 2), ("A", ("ü",), None, 3)]),
        (
            "S -> ' a ' A/B^2\nA/B^2 -> '\t'",
            [("S", (" a ", Nonterminal("A/B^2")), None, 1), ("A/B^2", ("\t",), None, 2)],
        ),
    ],
)
def test_notation(text: str, expected: object) -> None:
    assert shape(text) == expected


def test_directives() -> None:
    rules = read_rules(
        "%start A  # c\n%max_len 15\n%separator ' # '\n%limit '# b' 2\nS -> 'a'\nA -> S\n%require x", "g"
    )
    assert (rules.start, rules.max_len, rules.separator) == (A, 15, " # ")
    assert rules.constraints == (Constraint("limit", ("'# b'", "2"), 4), Constraint("require", ("x",), 7))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "g.cfg: must hold at least one rule"),
        ("\n%max_len 5", "g.cfg: must hold at least one rule"),
        ("S -> 'a", "g.cfg:1: ' is not closed"),
        ("S -> 'a'\n\nS 'b'", "g.cfg:3: must be NAME -> "),
        ("| 'a'", "g.cfg:1: must be NAME -> "),
        ("S ::= 'a'", "g.cfg:1: must be NAME -> "),
        ("S -> (", "g.cfg:1: must be NAME -> "),
        ("S T -> 'a'", "Expected an arrow"),
        ("S -> 'a'\n%strat S", "g.cfg:2: no directive %strat. Did you mean 'start'?"),
        ("%start", "%start must be followed by one nonterminal"),
        ("%start 'x'\nS -> 'a'", "g.cfg:1: must be NAME"),
        ("%start S T", "one nonterminal"),
        ("%max_len 0", "%max_len must be a whole number from 1"),
        ("%max_len 99999", "%max_len must be a whole number from 1"),
        ("%max_len ٣", "%max_len must be a whole number from 1"),
        ("%max_len 3\n%max_len 3", "g.cfg:2: %max_len is given twice"),
        ("%separator x", "%separator must be text in quotes"),
        ("%nest 'a", "g.cfg:1: the quote ' is not closed"),
        ("S -> 'a' [0]", "a weight must be a number above 0"),
        ("S -> 'a' [-1]", "a weight must be a number above 0"),
        ("S -> 'a' [nan]", "a weight must be a number above 0"),
        ("S -> 'a' [inf]", "a weight must be a number above 0"),
        ("S -> 'a' [1/2]", "Got [1/2]"),
        ("S -> 'a' [1] [2]", "has one weight"),
        ("S -> [1] 'a'", "at the end of a right-hand side"),
        ("S -> 'a\x00b'", "control character '\\x00'"),
        ("S -> 'a\u2028b'", "control character"),
        ("S -> 'a\ud800'", "control character"),
    ],
)
def test_mistakes_name_the_line(text: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        read_rules(text, "g.cfg")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "S -> '" + "a" * 100_000,
        "S -> " + "'a' " * 25_000,
        "S -> " + "(" * 100_000,
        "S -> " + "|" * 100_000,
        "S -> " + "A " * 5_000,
        "S" * 100_000,
        "[" * 100_000,
        "'" * 100_001,
        "\n" * 1_000_000 + "?",
        "\\\n" * 400_000,
        "%start " + "S" * 100_000,
        "%limit " + "'" * 100_001,
        "\x00\xff" * 50_000,
    ],
    ids=lambda text: repr(text[:10]),
)
def test_hostile_text_gives_one_short_line(text: str) -> None:
    with pytest.raises(UserError) as caught:
        read_rules(text, "g.cfg")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 250


def test_the_canonical_text_has_the_length_in_force() -> None:
    for text, max_len in (("%max_len 9\nS -> 'a' S | 'b'", 7), ("S -> 'a' S | 'b'", 7), ("S -> 'a' | 'b'", None)):
        grammar = Grammar.compile(text, max_len=max_len)
        assert f"%max_len {max_len or 1}\n" in grammar.text
        assert Grammar.compile(grammar.text).max_len == (max_len or 1)


def test_every_rule_counts_in_the_fingerprint() -> None:
    texts = ["%max_len 9\n" + "S -> 'a' S | 'b' S\n" * 9 + f"S -> 'c' A\nA -> '{last}'" for last in "xyx"]
    first, other, same = (Grammar.compile(text).fingerprint for text in texts)
    assert first == same != other


def test_a_comment_does_not_go_on_and_a_right_hand_side_may_be_long() -> None:
    rules = read_rules("# a comment \\\nS -> " + "'a' " * 256, "g")
    assert [len(production.rhs) for production in rules.productions] == [256]


def test_files(tmp_path: Path) -> None:
    file = tmp_path / "g.cfg"
    file.write_bytes(b"\xef\xbb\xbfS -> 'a'\r\n  | '\xc3\xbc'\r\n")
    assert read_file(file) == "S -> 'a'\n  | 'ü'\n"
    assert Grammar.load(file).terminals == ("a", "ü")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"S\r\n-> '\xff'", r"g\.cfg:2: must be UTF-8 text. Got the byte 0xff"),
        (b"#" * (MAX_BYTES + 1), "at most 1,000,000 bytes"),
    ],
)
def test_unreadable_files(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "g.cfg").write_bytes(content)
    with pytest.raises(UserError, match=message):
        read_file(tmp_path / "g.cfg")


def test_as_much_as_is_allowed(tmp_path: Path) -> None:
    (tmp_path / "g.cfg").write_bytes(b"#" * MAX_BYTES)
    assert len(read_file(tmp_path / "g.cfg")) == MAX_BYTES
    begin = "S -> '" + "a" * 9_993
    assert read_rules(f"{begin}'", "g").productions
    with pytest.raises(UserError, match=r"at most 10,000 characters\. Got 10,001"):
        read_rules(f"{begin}a'", "g")


def test_no_file(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing.cfg"):
        with pytest.raises(UserError, match="cannot be read"):
            read_file(path)


characters = st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp"))
terminals = st.text(characters, min_size=1, max_size=6).filter(lambda text: not ("'" in text and '"' in text))
symbols = st.one_of(terminals, st.sampled_from([S, A]))
productions = st.builds(
    Production,
    st.sampled_from([S, A]),
    st.lists(symbols, max_size=4).map(tuple),
    st.none() | st.floats(1e-100, 1e100),
)
constraints = st.builds(
    Constraint,
    st.sampled_from(["nest", "require", "forbid", "limit"]),
    st.lists(
        st.one_of(st.sampled_from(["sin", "in", "2"]), terminals.map(lambda t: f'"{t}"' if "'" in t else f"'{t}'"))
    ).map(tuple),
)


@settings(derandomize=True, deadline=None, max_examples=100)
@given(
    st.lists(productions, min_size=1, max_size=6).map(tuple),
    st.none() | st.integers(1, 10_000),
    st.just("") | terminals,
    st.lists(constraints, max_size=3).map(tuple),
)
def test_written_rules_read_back(
    productions: tuple[Production, ...], max_len: int | None, separator: str, constraints: tuple[Constraint, ...]
) -> None:
    rules = Rules("g", productions, S, max_len, separator, constraints)
    again = read_rules(write_text(rules), "g")
    without_lines = replace(
        again,
        productions=tuple(replace(p, line=0) for p in again.productions),
        constraints=tuple(replace(c, line=0) for c in again.constraints),
    )
    assert without_lines == rules
    for before, after in zip(productions, again.productions, strict=True):
        assert before.weight == after.weight or math.isclose(before.weight or 0, after.weight or 0, rel_tol=0)


@settings(derandomize=True, deadline=None, max_examples=40)
@given(grammars())
def test_canonical_text_makes_the_same_grammar(grammar: Grammar) -> None:
    again = Grammar.compile(grammar.text)
    assert again.text == grammar.text
    assert again.fingerprint == grammar.fingerprint
    assert again.nonterminals == grammar.nonterminals
    assert [str(p) for p in again.productions] == [str(p) for p in grammar.productions]


@pytest.mark.parametrize(
    "text",
    [
        "B -> 'b'\nS -> 'a' S [0.1] | 'a' S [0.2] | 'c' | D\nD -> D 'd'\n%start S\n%separator ' '",
        "%limit '+' 2\n%require x\n%max_len 12\nS -> S '+' T | T\nT -> 'x' | '1'",
        "S -> 'a' S | ",
    ],
)
def test_canonical_text_of_dropped_and_constrained_rules(text: str) -> None:
    grammar = Grammar.compile(text)
    again = Grammar.compile(grammar.text)
    assert again.text == grammar.text
    assert again.productions == tuple(
        replace(p, line=q.line) for p, q in zip(grammar.productions, again.productions, strict=True)
    )
    assert (again.weights == grammar.weights).all()
    assert (again.max_len, again.counts) == (grammar.max_len, grammar.counts)
