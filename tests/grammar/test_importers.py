from __future__ import annotations

import itertools
import re
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dimecli.errors import UserError
from dimecli.grammar import Grammar
from dimecli.grammar.compile import compile_rules
from dimecli.grammar.importers import notation_of, read_foreign
from dimecli.grammar.importers.expand import readable, terminals
from dimecli.grammar.text import read_rules, write_text


def imported(text: str, notation: str, max_len: int = 40) -> Grammar:
    """The grammar of a foreign text, by way of its nltk text."""
    rules = read_foreign(text, f"g.{notation}", notation)
    again = read_rules(write_text(rules), "g.cfg")
    assert write_text(again) == write_text(rules)
    return compile_rules(again, max_len)


def productions(text: str, notation: str) -> list[str]:
    return [str(production) for production in read_foreign(text, "g", notation).productions]


def texts(alphabet: str, longest: int) -> list[str]:
    return ["".join(letters) for n in range(longest + 1) for letters in itertools.product(alphabet, repeat=n)]


def language(grammar: Grammar, alphabet: str, longest: int) -> set[str]:
    every = texts(alphabet, longest)
    _, wrong = grammar.parse_all(every)
    return {text for index, text in enumerate(every) if index not in wrong}


# EBNF and GBNF of regular languages, against Python's regular expressions


@pytest.mark.parametrize(
    ("notation", "text", "pattern"),
    [
        ("gbnf", r'root ::= "a"{1,2} [b-c]* ("ab" | "\x63")? # end', r"a{1,2}[bc]*(ab|c)?"),
        ("gbnf", 'root ::= x{2}\n  | y{2,} \nx ::= ("a" | "b" "c")\ny ::= "c"+', r"(a|bc){2}|(c+){2,}"),
        ("gbnf", r'root ::= [a-ac]? "b"{0,3}' + "\n", r"[ac]?b{0,3}"),
        ("ebnf", 's ::= x+ y? /* c */\nx ::= "a" | [b]\ny ::= (#x63)*  "a"', r"[ab]+(c*a)?"),
        ("ebnf", "s ::= '' | [a-b]* 'c'", r"|[ab]*c"),
        ("ebnf", 's = { x , [ "b" ] } , "c" ; (* c *) x = "a" ;', r"(ab?)*c"),
        ("ebnf", 's = [a-b] [x] | "c"+ .\nx = "c" .', r"[ab]c?|c+"),
        ("lark", 'start: X* y~1..2 ["c"]\nX: "a" "b"?\ny: "c" | "b" "b"', r"(ab?)*(c|bb){1,2}c?"),
        (
            "lark",
            r"start: A B | B C" + "\n" + r"A: /[a-b]|c{2}/" + '\nB: "a".."b"\nC: /(?:ab)?c/',
            r"([ab]|c{2})[ab]|[ab](ab)?c",
        ),
    ],
)
def test_regular_languages(notation: str, text: str, pattern: str) -> None:
    grammar = imported(text, notation)
    assert language(grammar, "abc", 5) == {text for text in texts("abc", 5) if re.fullmatch(pattern, text)}


@st.composite
def expressions(draw: st.DrawFn, depth: int = 3) -> tuple[str, str]:
    """A right-hand side in GBNF and the same as a regular expression."""
    kind = draw(st.sampled_from(["text", "class", "series", "choice", "repeat"] if depth else ["text", "class"]))
    if kind == "text":
        text = draw(st.text("ab", min_size=1, max_size=2))
        return f'"{text}"', f"(?:{text})"
    if kind == "class":
        letters = draw(st.sampled_from(["a", "ab", "a-b"]))
        return f"[{letters}]", f"[{letters}]"
    if kind == "repeat":
        (gbnf, pattern), mark = (
            draw(expressions(depth - 1)),
            draw(st.sampled_from(["*", "+", "?", "{2}", "{1,}", "{0,2}"])),
        )
        return f"({gbnf}){mark}", f"(?:{pattern}){mark}"
    parts = draw(st.lists(expressions(depth - 1), min_size=2, max_size=2))
    mark = " | " if kind == "choice" else " "
    return f"({mark.join(gbnf for gbnf, _ in parts)})", f"(?:{mark.strip().join(pattern for _, pattern in parts)})"


@settings(derandomize=True, deadline=None, max_examples=60)
@given(expressions())
def test_random_right_hand_sides(pair: tuple[str, str]) -> None:
    gbnf, pattern = pair
    try:
        grammar = imported(f"root ::= {gbnf}", "gbnf")
    except UserError as error:  # a repetition of what can be empty
        if "is a cycle" not in str(error):
            raise
        return
    assert language(grammar, "ab", 4) == {text for text in texts("ab", 4) if re.fullmatch(pattern, text)}


@pytest.mark.parametrize("mark", ["*", "+", "{2}", "{2,}", "{1,3}", "?"])
@pytest.mark.parametrize("part", ['"a"', "[ab]", '("a" | "b" "a")', '("a" "b" | "a" "a")'])
def test_repetitions_are_unambiguous(part: str, mark: str) -> None:
    grammar = imported(f"root ::= {part}{mark}", "gbnf", max_len=9)
    sentences = [s for n in range(1, 10) for s in grammar.unparse_all(grammar.enumerate(n))]
    assert len(sentences) == len(set(sentences)) > 1 or mark == "{2}"


# Recursive languages


def test_bnf_keeps_blanks_within_an_alternative() -> None:
    text = """# the grammar
    <e> ::= <e> + <e>   # sum
          | sin(<e>) | "x " 'y'
      | <a-b> < 1 | '|#' | \\x41\\\\ |
    <a-b> ::= <e><e>
    """
    assert productions(text, "bnf") == [
        "e -> e ' + ' e",
        "e -> 'sin(' e ')'",
        "e -> 'x y'",
        "e -> a-b ' < 1'",
        "e -> '|#'",
        r"e -> 'A\'",
        "e ->",
        "a-b -> e e",
    ]


def test_bnf_blanks_beside_quotes_or_in_a_file_with_all_its_text_in_quotes_mean_nothing() -> None:
    assert productions("<e> ::= <e> \"+\" <e> | ( <e> ' )' | <e> <e>\n  <e> | if  <e>", "bnf") == [
        "e -> e '+' e",
        "e -> '( ' e ' )'",
        "e -> e ' ' e ' ' e",
        "e -> 'if  ' e",
    ]
    assert productions("<e> ::= <e> ' + ' <e> # sum\n | \"::=\" <e> <e> | 'x' ;".replace(" ;", ""), "bnf") == [
        "e -> e ' + ' e",
        "e -> '::=' e e",
        "e -> 'x'",
    ]


def test_names_of_bnf_may_contain_blanks() -> None:
    assert productions("<a number> ::= <digit> | <a number> <digit>\n<digit> ::= 1 | x < <digit> > 2", "bnf") == [
        "a_number -> digit",
        "a_number -> a_number ' ' digit",
        "digit -> '1'",
        "digit -> 'x < ' digit ' > 2'",
    ]


def test_w3c_rules_may_be_numbered() -> None:
    text = '[1] s ::= a [2]\n  [3]\n\n[2a]  a ::= "[" [4] "::="'
    assert productions(text, "ebnf") == ["s -> a '2' '3'", "a -> '[' '4' '::='"]


def test_iso_names_may_contain_blanks_where_there_are_commas() -> None:
    assert productions("(* '::=' *) my  list = the item , { ',' , the item } ;\nthe item='::=';", "ebnf") == [
        "my_list -> the_item my_list/repeat1",
        "my_list/repeat1 ->",
        "my_list/repeat1 -> ',' the_item my_list/repeat1",
        "the_item -> '::='",
    ]
    assert productions("s = a a ;\na = ',' ;", "ebnf") == ["s -> a a", "a -> ','"]


def test_balanced_brackets_in_every_notation() -> None:
    grammars = [
        imported("<s> ::= (<s>)<s> | ", "bnf"),
        imported('s ::= ("(" s ")" s)?', "ebnf"),
        imported("s = ['(', s, ')', s];", "ebnf"),
        imported('root ::= "(" root ")" root | ""', "gbnf"),
        imported('start: ["(" start ")" start]', "lark"),
        imported("S -> '(' S ')' S | ", "cfg"),
    ]

    def balanced(text: str) -> bool:
        depths = list(itertools.accumulate(1 if letter == "(" else -1 for letter in text))
        return not depths or (min(depths) >= 0 and depths[-1] == 0)

    expected = {text for text in texts("()", 8) if balanced(text)}
    for grammar in grammars:
        assert language(grammar, "()", 8) == expected


LARK = r"""
start: expr (";" expr)* ";"?
?expr: term | expr ADD term -> sum   // the tree's names do not matter
term: "x" | NUM | "(" expr ")" | "f" term~2..3 | [SIGN] "y"
ADD: "+" | "-"
NUM: "1".."2" DIGIT? | /3(?:00|\.5)/
DIGIT: /[0-1]/
SIGN: /[~\-]/
WS: " "+
%ignore WS
"""


def test_lark_accepts_what_is_sampled() -> None:
    from lark import Lark

    reference = Lark(LARK, parser="earley")
    rules = read_foreign(LARK, "g.lark", "lark")
    grammar = compile_rules(rules, max_len=20)
    assert grammar.notes == (r"%ignore WS '(?:\\ )+': left out",)
    for sentence in grammar.unparse_all(grammar.sample(60, np.random.default_rng(0), "length")):
        assert sentence is not None
        reference.parse(sentence)
    assert {t for t in grammar.terminals if t[0] in "123"} == {"1", "10", "11", "2", "20", "21", "300", "3.5"}


def test_lark_accepts_the_same_texts() -> None:
    from lark import Lark
    from lark.exceptions import LarkError

    text = 'start: start "+" t | t\nt: "(" start ")" | X\nX: "x" | "+x"'
    reference = Lark(text, parser="earley", lexer="dynamic_complete")

    def accepts(sentence: str) -> bool:
        try:
            reference.parse(sentence)
        except LarkError:
            return False
        return True

    found = language(imported(text, "lark"), "x+(", 4) | language(imported(text, "lark"), "x+)(", 4)
    assert found == {sentence for sentence in texts("x+)(", 4) if accepts(sentence)}


# Names and terminals


def test_names_become_readable_and_stay_distinct() -> None:
    found = readable(["a b", "a_b", "<a_b>", "ü-1", "-x", "é/2", "a_b_2", "a b"])
    assert len(set(found.values())) == len(found) == 7
    for name in found.values():
        assert [p.lhs.name for p in read_rules(f"{name} -> 'a'", "g").productions] == [name]
        assert "/" not in name
    assert found["ü-1"] == "ü-1"


@settings(derandomize=True, deadline=None, max_examples=100)
@given(st.text("ab'\" ", max_size=8))
def test_a_text_with_both_quotes_is_split(text: str) -> None:
    found = terminals(text)
    assert "".join(found) == text
    assert all(part and not ("'" in part and '"' in part) for part in found)
    assert len(found) <= 1 + min(text.count("'"), text.count('"')) * 2


def test_a_text_with_both_quotes_is_split_once() -> None:
    assert productions(r'root ::= "a\"b' + "'c\"", "gbnf") == ["root -> 'a\"b' \"'c\""]


def test_made_nonterminals_say_where_they_come_from() -> None:
    assert productions('root ::= item{1,2} ("x" | "y") [ab]\nitem ::= ("z" item)* | [ab]', "gbnf") == [
        "root -> item root/option1 root/group2 root/class3",
        "root/option1 ->",
        "root/option1 -> item",
        "root/group2 -> 'x'",
        "root/group2 -> 'y'",
        "root/class3 -> 'a'",
        "root/class3 -> 'b'",
        "item -> item/repeat1",
        "item -> root/class3",
        "item/repeat1 ->",
        "item/repeat1 -> 'z' item item/repeat1",
    ]


def test_a_name_that_a_readable_one_would_take() -> None:
    assert readable(["a__2", "a.", "a_"]) == {"a__2": "a__2", "a.": "a_", "a_": "a__3"}


def test_digits_in_a_class_of_lark() -> None:
    assert productions(r"start: /[\dx]/", "lark")[-2:] == ["__ANON_0 -> '9'", "__ANON_0 -> 'x'"]


@pytest.mark.parametrize(("name", "notation"), [("a.bnf", "bnf"), ("b/A.EBNF", "ebnf"), ("x.pcfg", "cfg")])
def test_the_ending_says_the_notation(name: str, notation: str) -> None:
    assert notation_of(Path(name)) == notation


def test_an_unknown_ending() -> None:
    with pytest.raises(UserError, match=r"must end in \.bnf, .*Got '\.txt'"):
        notation_of(Path("a.txt"))


# Mistakes


@pytest.mark.parametrize(
    ("notation", "text", "message"),
    [
        ("bnf", "x ::= a", "g:1: must begin with a rule"),
        ("bnf", "<a> ::= GE_RANGE:4", "neither ::= nor GE_RANGE"),
        ("bnf", "<a> ::= x\n\n<b> ::= it's", "g:3: cannot be read from"),
        ("bnf", "<a> ::= x\n| <b>\n<b> ::= '" + "y" * 10_000 + "'", "g:3: a production has at most 10,000 characters"),
        ("ebnf", "a = 'b' ;\nc = 3 * a ;", "g:2: cannot be read from '3 * a ;'"),
        ("bnf", "<a> ::= \\q", "g:1: the escape \\q means nothing"),
        ("bnf", "<a> ::= \\1", "g:1: the escape \\1 means nothing"),
        ("ebnf", "a ::= b - c", "cannot be read from '- c'"),
        ("ebnf", "a ::= [^a]", "a class must list its characters"),
        ("ebnf", "a ::= [z-a]", "a range must run forwards"),
        ("ebnf", "a ::= [#x20-#xD7FF]", "a range must run forwards over at most 1000"),
        ("ebnf", "a ::= #x110000", "#x110000 is no character"),
        ("ebnf", f"a ::= [{chr(500)}-{chr(1100)}{chr(2500)}-{chr(3100)}]", "a class must have at most 1000"),
        ("gbnf", 'root ::= "a"{0}', "n from 1 to 1000. Got {0}"),
        ("ebnf", "a ::= ('x'", "ends where ')' is expected"),
        ("ebnf", "a ::= 'x')", "')' stands where"),
        ("ebnf", "a ::= 'x'**", "a second repetition"),
        ("ebnf", "a ::= * 'x'", "'*' stands where a symbol is expected"),
        ("ebnf", "a = 'x' (* open", "the comment (* is not closed"),
        ("gbnf", 'root ::= "a"\nb ::= .', "g:2: cannot be read from '.'"),
        ("gbnf", 'root ::= "a"{3,2}', "a repetition must be {m,n} with m <= n"),
        ("gbnf", 'root ::= "a"{9999999999}', "a repetition must be {m,n}"),
        ("gbnf", 'root ::= "a"{300}', "at most 256 symbols"),
        ("gbnf", r'root ::= "\q"', r"the escape \q means nothing"),
        ("gbnf", r'root ::= "\n"', "must be printable and on one line"),
        ("gbnf", r'root ::= "\ud800"', "must be printable"),
        ("gbnf", 'x ::= "a"', "g: no rule for the start symbol root"),
        ("lark", 'x: "a"', "lark cannot read it"),
        ("lark", 'start: "a"\n\n  ( b', "g:3: lark cannot read it"),
        ("lark", "start: /(/", "lark cannot read it"),
        ("lark", "%import .nix (X)\nstart: X", "lark cannot read it"),
        ("lark", 'start: "x"\n | NAME\nNAME: /[a-z]+/', "terminal NAME: must be a finite set of strings"),
        ("lark", 'start: "x" a\n\na: "y"\n | NAME\nNAME: /z+/', "g:3: terminal NAME: must be a finite set"),
        ("lark", "start: " + '["a"] ' * 20, "expands to too many symbols"),
        ("lark", 'start: "a" //' + "b" * 50_000, "g:1: a lark grammar must have at most 50,000 characters"),
        ("lark", "start: A\nA: /[^a]/", "terminal A:1: a class must list"),
        ("lark", "start: A\nA: /a.c/", "terminal A:1: cannot be read from '.c'"),
        ("lark", "start: A\nA: /[a-z]{4}/", "terminal A: must have at most 1,000 strings"),
        ("lark", 'start: "a"i', "terminal A: the flags 'i' are not supported"),
        ("lark", 'start: a{"x"}\na{y}: y', "templates such as a{...} are not supported"),
        ("lark", "start: " + '("a"|"b") ' * 20, "expands to too many symbols"),
        ("lark", "start: " + '"a"? ' * 30, "expands to too many symbols"),
        ("lark", 'start: ("a"|"b")~30', "expands to too many symbols"),
        (
            "lark",
            'start: A0\nA30: "a"\n' + "\n".join(f"A{i}: A{i + 1} A{i + 1}" for i in range(30)),
            "expands to too much",
        ),
        ("lark", "start: A\nA: B\nB: A", "lark cannot read it: Recursion in terminal"),
        ("lark", "start: " + "(" * 60 + '"a"' + ")" * 60, "nested more than 50 deep"),
    ],
)
def test_mistakes(notation: str, text: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        compile_rules(read_foreign(text, "g", notation))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


HOSTILE = {
    "nothing": "",
    "binary": "\x00\xff\x01" * 1_000,
    "deep": "a ::= " + "(" * 100_000,
    "deep root": "root ::= " + "(" * 45 + '"a"{1000}' + "){1000}" * 45,
    "deep and long": "root ::= " + "(" * 45 + '"a"' * 60_000 + ")*" * 45,
    "deep regex": "start: A\nA: /" + "(" * 40 + "a" + "){999}" * 40 + "/",
    "brackets": "[" * 100_000,
    "braces": "a = " + "{" * 100_000,
    "comments": "(*" * 100_000,
    "more comments": "/*" * 100_000,
    "quotes": "'" * 100_001,
    "double quotes": 'root ::= "' + "\\" * 100_001,
    "angles": "<" * 100_000,
    "a long name": "x" * 900_000,
    "bars": "<a> ::= " + "|" * 100_000,
    "names": "<a> ::= " + "<a> " * 50_000,
    "options": "root ::= " + '"x"? ' * 50_000,
    "classes": "root ::= " + "[a-z]" * 50_000,
}


@pytest.mark.parametrize("notation", ["bnf", "ebnf", "gbnf"])
@pytest.mark.parametrize(
    "right", ["|" * 900_000, '"x' + " " * 900_000, '"x"\n|' * 32_767], ids=["bars", "blanks", "options"]
)
def test_what_is_long_is_refused_soon(notation: str, right: str) -> None:
    begin = time.process_time()
    with pytest.raises(UserError, match=r"g:\d+: "):
        compile_rules(read_foreign(f"<root> ::= {right}" if notation == "bnf" else f"root ::= {right}", "g", notation))
    assert time.process_time() - begin < 3


@pytest.mark.parametrize("notation", ["bnf", "ebnf", "gbnf", "lark"])
@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_text_gives_one_short_line(notation: str, text: str) -> None:
    with pytest.raises(UserError) as caught:
        read_foreign(text, "g", notation)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 250
