"""`dime grammar`, on bundled grammars and on files of the user's."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dimecli.grammar import Grammar

Dime = Callable[..., Any]

SUMS = "%start S\n%max_len 9\nS -> S '+' T [1] | T [3]\nT -> 'x' | 'y'\n"


@pytest.fixture
def sums(tmp_path: Path) -> Grammar:
    """A grammar in the file sums.cfg."""
    (tmp_path / "sums.cfg").write_text(SUMS)
    return Grammar.compile(SUMS)


def test_without_a_subcommand_it_shows_help(dime: Dime) -> None:
    ran = dime("grammar")
    assert ran.code == 0
    for command in ("check", "show", "sample", "parse", "convert"):
        assert f" {command} " in ran.flat


def test_show(dime: Dime, sums: Grammar) -> None:
    ran = dime("grammar", "show", "sums.cfg")
    assert ran.code == 0, ran.err
    assert "sums.cfg: productions 4, nonterminals 2, terminals 3, maximum length 9, parser LALR(1)\n" in ran.out
    assert "0 0.25 4 S -> S '+' T" in ran.flat
    assert "2 0.5 1 T -> 'x'" in ran.flat
    assert "length derivations 2 2 4 4 6 8 8 16 total 30" in ran.flat
    assert "└── T" in ran.out
    shown = dime("grammar", "show", "sums.cfg", "--json").json
    assert shown["counts"] == {str(n): count for n, count in enumerate(sums.counts[0]) if count}
    assert shown["productions"][1] == {"id": 1, "production": "S -> T", "weight": 0.75, "shortest": 2}
    assert (shown["max_length"], shown["parser"], shown["fingerprint"]) == (9, "LALR(1)", sums.fingerprint)


def test_show_of_many_and_large_counts(dime: Dime) -> None:
    ran = dime("grammar", "show", "smiles")
    assert ran.code == 0, ran.err
    assert "... ..." in ran.flat
    assert "e+" in ran.out.partition("total")[2].partition("\n")[0]


def test_sample_is_of_the_grammar_and_of_the_seed(dime: Dime, sums: Grammar) -> None:
    words = ("grammar", "sample", "sums.cfg", "-n", "30")
    first = dime(*words).out.splitlines()
    assert len(first) == 30
    assert not sums.parse_all(first)[1]
    assert dime(*words).out.splitlines() == first
    assert dime(*words, "--seed", "1").out.splitlines() != first
    assert {len(line) for line in dime(*words, "--max-length", "4").out.splitlines()} == {1, 3}
    drawn = dime(*words, "--by", "pcfg", "--json").json
    assert (drawn["by"], drawn["n"], len(drawn["sentences"])) == ("pcfg", 30, 30)


def test_parse_a_sentence(dime: Dime, sums: Grammar) -> None:
    assert dime("grammar", "parse", "sums.cfg", "x+y") == (0, "0 1 2 3\n", "")
    tree = dime("grammar", "parse", "sums.cfg", "x+y", "--tree")
    assert (
        tree.flat.split()
        == "S ├── S │ └── T │ └── 'x' ├── '+' └── T └── 'y'".replace("│", "")
        .replace("├──", "├")
        .replace("└──", "└")
        .split()
    )
    ran = dime("grammar", "parse", "sums.cfg", "x+")
    assert (ran.code, ran.out, ran.err.count("\n")) == (1, "", 1)


def test_parse_lines_of_stdin(dime: Dime, sums: Grammar, monkeypatch: pytest.MonkeyPatch) -> None:
    def give(content: bytes) -> None:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))

    give(b"\xef\xbb\xbfx\n\nx+\ny\n")
    ran = dime("grammar", "parse", "sums.cfg")
    assert ran.code == 1
    assert ran.out == "1 2\n1 3\n"
    assert ran.err.startswith("line 3: ")
    give(b"x\nz\n")
    good, bad = dime("grammar", "parse", "sums.cfg", "--json").json
    assert good == {"line": 1, "sentence": "x", "productions": [1, 2]}
    assert (bad["line"], bad["sentence"]) == (2, "z")
    assert bad["error"]
    give(b"x\n\xff\n")
    assert dime("grammar", "parse", "sums.cfg") == (2, "", "Error: stdin:2: must be UTF-8 text, got the byte 0xff\n")


def test_a_sentence_that_is_no_text_is_json(dime: Dime, sums: Grammar) -> None:
    assert dime("grammar", "parse", "sums.cfg", "x\udcff", "--json").json[0]["sentence"] == "x\udcff"


def test_nothing_of_a_deep_tree_is_cut(dime: Dime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    (tmp_path / "deep.cfg").write_text("%max_len 99\nS -> 'a' S | 'b'\n")
    ran = dime("grammar", "parse", "deep.cfg", "a" * 60 + "b", "--tree")
    assert (ran.out.count("'a'"), ran.out.count("'b'"), ran.out.count("S")) == (60, 1, 61)


def test_check_tells_what_the_compiler_notes_and_finds(dime: Dime, sums: Grammar, tmp_path: Path) -> None:
    good = dime("grammar", "check", "sums.cfg")
    assert (good.code, good.out) == (0, "")
    assert good.err.endswith("; to mend: nothing\nNext: dime train --grammar sums.cfg\n")
    (tmp_path / "bad.cfg").write_text("%max_len 9\nS -> S '+' S | 'x'\nT -> 'y'\n")
    ran = dime("grammar", "check", "bad.cfg")
    assert ran.code == 1
    assert "note: line 3: " in ran.out
    assert "x+x+x" in ran.out
    found = dime("grammar", "check", "bad.cfg", "--json").json
    assert set(found) == {"grammar", "notes", "findings"}
    assert len(found["notes"]) == 1
    assert any("x+x+x" in finding for finding in found["findings"])


@pytest.mark.parametrize("name", ["boolean", "expressions", "expressions-infix", "rna", "smiles"])
def test_bundled_grammars_have_nothing_to_mend(dime: Dime, name: str) -> None:
    ran = dime("grammar", "check", name)
    assert ran.code == 0, ran.out


def test_convert(dime: Dime, tmp_path: Path) -> None:
    (tmp_path / "sums.bnf").write_text("<s> ::= <s>+<t> | <t>\n<t> ::= x | y\n")
    printed = dime("grammar", "convert", "sums.bnf")
    assert printed.code == 0, printed.err
    written = dime("grammar", "convert", "sums.bnf", "-o", "out.cfg")
    assert (written.code, written.out) == (0, "")
    assert "Next: dime grammar check out.cfg" in written.err
    assert (tmp_path / "out.cfg").read_text() == printed.out
    assert Grammar.compile(printed.out, max_len=8).parse("x+y+x").shape == (8,)
    assert dime("grammar", "parse", "out.cfg", "x+y").code == 0


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("show expresions", "Did you mean 'expressions'"),
        ("sample none.cfg", "none.cfg"),
        ("sample expressions --by luck", "luck"),
        ("sample expressions -n 0", "greater than or equal to 1"),
        ("sample expressions --max-length 1", "1"),
        ("sample expressions --max-length 0", "greater than or equal to 1, got 0"),
        ("convert none.bnf", "none.bnf"),
        ("convert sums.xyz", "sums.xyz"),
        ("convert sums.cfg -o ./sums.cfg", "--output sums.cfg: must be another file"),
        ("convert sums.cfg -o sums.bnf", "--output sums.bnf: must be another file, whose name ends in .cfg"),
        ("convert sums.cfg -o .", "is a directory"),
        ("check broken.cfg", "broken.cfg:1"),
    ],
)
def test_mistakes_are_one_line(dime: Dime, sums: Grammar, tmp_path: Path, words: str, says: str) -> None:
    (tmp_path / "broken.cfg").write_text("S -> -> 'x'\n")
    (tmp_path / "sums.xyz").write_text(SUMS)
    ran = dime("grammar", *words.split())
    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert says in ran.err


def test_a_terminal_is_not_obeyed(dime: Dime, tmp_path: Path) -> None:
    (tmp_path / "evil.cfg").write_text("%start S\n%max_len 3\nS -> 'a\x1b[31m' | 'b\x1b[31m'\n", encoding="utf-8")
    for words in (("show",), ("sample",), ("check",)):
        ran = dime("grammar", *words, "evil.cfg")
        assert "\x1b[31m" not in ran.out


def test_json_is_one_value(dime: Dime, sums: Grammar) -> None:
    for words in (("check",), ("show",), ("sample",)):
        assert isinstance(json.loads(dime("grammar", *words, "sums.cfg", "--json").out), dict)
