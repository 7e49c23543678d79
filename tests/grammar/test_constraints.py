from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from nltk import CFG
from reference import derivations, every
from strategies import grammars

from dimecli.errors import UserError
from dimecli.grammar import Grammar
from dimecli.grammar.constraints import constrain, lift
from dimecli.grammar.parse import ParseError
from dimecli.grammar.rules import Constraint, Nonterminal, Symbol

EXPRESSIONS = (Path(__file__).parents[2] / "grammars/dimecli_grammars/expressions.cfg").read_text()
FLAT = "%max_len 7\nS -> A B A 'y' | 'z'\nA -> 'y' A | 'z' B |\nB -> 'y' 'y' | 'z'\n"
LIST = "%max_len 9\nList -> List ',' Item | Item\nItem -> '[' List ']' | '{' List '}' | 'a'\n"
WEIGHTED = "%max_len 6\nS -> 'f(' S ',' S ')' [2] | X [3]\nX -> 'x' [1] | 'y' [5]\n"


@cache
def expressions() -> list[tuple[int, ...]]:
    """Every derivation of at most 8 productions."""
    return list(derivations(Grammar.compile(EXPRESSIONS), ("S",), 8))


def paths(grammar: Grammar, ids: tuple[int, ...]) -> list[tuple[int, ...]]:
    """For each step of a derivation the productions above it, and itself, from the root."""
    above: list[tuple[int, ...]] = [()]
    found = []
    for number in ids:
        found.append((*above.pop(), number))
        above += [found[-1]] * sum(isinstance(symbol, Nonterminal) for symbol in grammar.productions[number].rhs)
    return found


def obeys(grammar: Grammar, ids: tuple[int, ...], constraint: Constraint) -> bool:
    """The meaning of a directive, whose words are exact: quoted terminals and bare nonterminals."""

    def uses(number: int, word: str) -> int:
        production = grammar.productions[number]
        return production.rhs.count(word[1:-1]) if word[0] == "'" else int(production.lhs.name == word)

    name, words = constraint.name, constraint.words
    total = sum(uses(number, words[0]) for number in ids)
    if name == "require":
        return total > 0
    if name == "limit":
        return total <= int(words[1])
    if len(words) == 1:
        return total == 0
    outer, most = (words[2], 0) if name == "forbid" else (words[0], int(words[1]))
    return all(
        sum(uses(number, outer) > 0 for number in path[:-1]) <= most
        for path in paths(grammar, ids)
        if uses(path[-1], words[0])
    )


def tokens(grammar: Grammar, ids: tuple[int, ...]) -> list[str]:
    """The terminals of a sentence."""
    left: list[Symbol] = [Nonterminal(grammar.nonterminals[0])]
    used, found = iter(ids), []
    while left:
        symbol = left.pop()
        if isinstance(symbol, Nonterminal):
            left += reversed(grammar.productions[next(used)].rhs)
        else:
            found.append(symbol)
    return found


def nested(inner: str, outer: str, most: int) -> Callable[[list[str]], bool]:
    """At most so many open brackets of the outer function where the inner one opens."""

    def holds(sentence: list[str]) -> bool:
        opened: list[str] = []
        for token in sentence:
            if token == inner and opened.count(outer) > most:
                return False
            if token.endswith("("):
                opened.append(token)
            elif token == ")":
                opened.pop()
        return True

    return holds


def constrained(text: str, *directives: str) -> Grammar:
    base = Grammar.compile(text)
    constraints = tuple(
        Constraint(name, tuple(words), line) for line, (name, *words) in enumerate((d.split() for d in directives), 90)
    )
    return constrain(replace(base, rules=replace(base.rules, constraints=constraints)))


def base_of(grammar: Grammar) -> Grammar:
    assert grammar.base is not None
    return grammar.base


def check(grammar: Grammar, allowed: set[tuple[int, ...]], max_len: int) -> None:
    """The derivations are those allowed ones, each exactly once, and `lift` finds them."""
    rows = [row for length in range(max_len + 1) for row in grammar.enumerate(length).tolist()]
    found = [tuple(number for number in row if number != grammar.pad) for row in rows]
    origins = [tuple(grammar.origin[number] for number in ids) for ids in found]
    assert set(origins) == allowed
    assert len(origins) == len(allowed)
    assert [sum(len(ids) == length for ids in allowed) for length in range(max_len + 1)] == list(
        grammar.counts[0][: max_len + 1]
    )
    for ids, origin in zip(found, origins, strict=True):
        lifted = lift(grammar, origin)
        assert lifted.dtype == np.int16
        assert lifted.tolist() == [*ids, *[grammar.pad] * (grammar.max_len - len(ids))]


@pytest.mark.parametrize(
    ("directives", "holds"),
    [
        (["nest sin 0"], nested("sin(", "sin(", 0)),
        (["nest sin( 1"], nested("sin(", "sin(", 1)),
        (["nest '(' 0"], nested("(", "(", 0)),
        (["nest sin 99"], lambda s: True),
        (["forbid exp in exp"], nested("exp(", "exp(", 0)),
        (["forbid exp in sin"], nested("exp(", "sin(", 0)),
        (["forbid x in 'exp('"], nested("x", "exp(", 0)),
        (["forbid sin"], lambda s: "sin(" not in s),
        (["require x"], lambda s: "x" in s),
        (["require x", "require 2"], lambda s: "x" in s and "2" in s),
        (["limit '/' 0"], lambda s: s.count("/") == 0),
        (["limit / 1"], lambda s: s.count("/") <= 1),
        (["limit x 2"], lambda s: s.count("x") <= 2),
        (["limit x 99"], lambda s: True),
        (["require x", "limit x 1"], lambda s: s.count("x") == 1),
        (["limit T 3"], lambda s: sum(t[0] in "(sex123" for t in s) <= 3),
        (
            ["nest sin 0", "forbid exp in sin", "limit + 1", "require x", "forbid 3"],
            lambda s: (
                nested("sin(", "sin(", 0)(s)
                and nested("exp(", "sin(", 0)(s)
                and s.count("+") <= 1
                and "x" in s
                and "3" not in s
            ),
        ),
    ],
)
def test_keeps_the_expressions_whose_strings_obey(directives: list[str], holds: Callable[[list[str]], bool]) -> None:
    grammar = constrained(EXPRESSIONS, *directives)
    base = base_of(grammar)
    check(grammar, {ids for ids in expressions() if holds(tokens(base, ids))}, 8)


@pytest.mark.parametrize("text", [FLAT, LIST, WEIGHTED])
def test_keeps_the_trees_that_obey(text: str) -> None:
    base = Grammar.compile(text)
    symbols = [*(f"'{terminal}'" for terminal in base.terminals), *base.nonterminals]
    for one in symbols:
        for two in symbols:
            for directive in (f"nest {one} 1", f"forbid {one} in {two}", f"limit {one} 1", f"require {one}"):
                name, *words = directive.split()
                allowed = {ids for ids in every(base) if obeys(base, ids, Constraint(name, tuple(words)))}
                if allowed:
                    check(constrained(text, directive), allowed, base.max_len)
                else:
                    with pytest.raises(UserError, match="no sentence"):
                        constrained(text, directive)


@st.composite
def problems(draw: st.DrawFn) -> Grammar:
    """A grammar that is not yet constrained, and up to three directives."""
    base = draw(grammars(6))
    symbols = st.sampled_from([*(f"'{terminal}'" for terminal in base.terminals), *base.nonterminals])
    numbers = st.integers(0, 3).map(str)
    directive = st.one_of(
        st.tuples(st.just("nest"), st.tuples(symbols, numbers)),
        st.tuples(st.just("limit"), st.tuples(symbols, numbers)),
        st.tuples(st.just("forbid"), st.tuples(symbols, st.just("in"), symbols)),
        st.tuples(st.just("forbid"), st.tuples(symbols)),
        st.tuples(st.just("require"), st.tuples(symbols)),
    )
    constraints = draw(st.lists(directive, min_size=1, max_size=3))
    return replace(base, rules=replace(base.rules, constraints=tuple(Constraint(*each) for each in constraints)))


@settings(derandomize=True, deadline=None, max_examples=150)
@given(problems())
def test_random_grammars_keep_the_trees_that_obey(base: Grammar) -> None:
    violated = {ids: [c for c in base.rules.constraints if not obeys(base, ids, c)] for ids in every(base)}
    allowed = {ids for ids, constraints in violated.items() if not constraints}
    if not allowed:
        with pytest.raises(UserError, match=r"no sentence of at most \d+ productions"):
            constrain(base)
        return
    grammar = constrain(base)
    check(grammar, allowed, base.max_len)
    assert {number for ids in every(grammar) for number in ids} == set(range(grammar.pad))
    for ids, constraints in list(violated.items())[:200]:
        if constraints:
            with pytest.raises(ParseError) as error:
                lift(grammar, ids)
            assert str(constraints[0]) in str(error.value)


def test_decodes_only_what_obeys() -> None:
    grammar = constrained(EXPRESSIONS, "nest sin 1", "forbid exp in exp", "require x", "limit / 2")
    base = base_of(grammar)
    logits = 40 * torch.randn(200, grammar.max_len, grammar.pad + 1, generator=torch.Generator().manual_seed(1))
    for rng in (None, torch.Generator().manual_seed(2)):
        decoded = grammar.decode(logits, rng)
        assert decoded.complete.all()
        for row, length in zip(decoded.ids.tolist(), decoded.length.tolist(), strict=True):
            sentence = tokens(base, tuple(grammar.origin[number] for number in row[:length]))
            assert nested("sin(", "sin(", 1)(sentence)
            assert nested("exp(", "exp(", 0)(sentence)
            assert "x" in sentence
            assert sentence.count("/") <= 2


def test_lift_takes_padded_ids() -> None:
    grammar = constrained(EXPRESSIONS, "nest sin 1")
    base = base_of(grammar)
    padded = np.full(base.max_len, base.pad, dtype=np.int16)
    padded[:4] = 3, 5, 3, 7  # sin(x)
    assert lift(grammar, padded).tolist() == lift(grammar, [3, 5, 3, 7]).tolist()
    with pytest.raises(ValueError, match="constraints"):
        lift(base, padded)


def test_is_reported_and_readable() -> None:
    grammar = constrained(EXPRESSIONS, "nest sin 1")
    assert grammar.notes[-1] == "constraints: 2 nonterminals and 11 productions became 6 and 32"
    assert grammar.nonterminals == ("S", "T", "S^1", "T^1", "S^2", "T^2")
    text = "\n".join(str(production) for production in grammar.productions)
    assert [str(production) for production in CFG.fromstring(text).productions()] == text.split("\n")


def test_weights_and_lines_are_kept() -> None:
    grammar = constrained(WEIGHTED, "require y")
    for production, origin in zip(grammar.productions, grammar.origin, strict=True):
        assert production.weight == base_of(grammar).productions[origin].weight
        assert production.line == base_of(grammar).productions[origin].line


def test_names_stay_apart() -> None:
    grammar = constrained("%max_len 9\nS -> 'f(' S ')' | S^1\nS^1 -> 'x'\n", "nest f 0")
    assert grammar.nonterminals == ("S", "S^^1", "S^1")

    grammar = constrained("%max_len 9\nS -> 'f(' S ')' | S^^1\nS^^1 -> 'x'\n", "nest f 0")
    assert grammar.nonterminals == ("S", "S^^^1", "S^^1")


def test_a_production_that_uses_a_symbol_twice_is_one_level_and_two_occurrences() -> None:
    text = "%max_len 4\nS -> 'x' 'x' S | 'x'\n"
    assert constrained(text, "nest x 1").counts[0] == (0, 1, 1, 0, 0)  # x, xxx
    assert constrained(text, "limit x 5").counts[0] == (0, 1, 1, 1, 0)  # x, xxx, xxxxx


def test_a_number_beyond_any_length_is_no_constraint() -> None:
    text = "%max_len 40\nS -> 'x' 'x' S S | 'x'\n"
    for directive in ("nest x 999999", "limit x 999999"):
        assert constrained(text, directive).counts[0] == Grammar.compile(text).counts[0]


def test_a_bare_word_is_a_terminal_rather_than_the_beginning_of_one() -> None:
    text = "%max_len 4\nS -> 'sin' S | 'sin(' S ')' | 'x'\n"
    assert constrained(text, "forbid sin").terminals == ("sin(", ")", "x")
    assert constrained(text, "forbid 'sin('").terminals == ("sin", "x")


def test_compiles_from_text_and_back() -> None:
    grammar = Grammar.compile(EXPRESSIONS + "%nest sin 1\n%limit '/' 2\n")
    assert grammar.base is not None
    again = Grammar.compile(grammar.text)
    assert again.text == grammar.text
    assert again.fingerprint == grammar.fingerprint
    assert again.productions == tuple(
        replace(production, line=new.line)
        for production, new in zip(grammar.productions, again.productions, strict=True)
    )
    other = Grammar.compile(EXPRESSIONS + "%nest sin 0\n%limit '/' 2\n")
    assert other.fingerprint != grammar.fingerprint != grammar.base.fingerprint


AMBIGUOUS = "%max_len 9\nS -> 'f(' S ')' | 'f[' S ']' | x | 'x'\nx -> 'y'\n"


@pytest.mark.parametrize(
    ("text", "directive", "message"),
    [
        (EXPRESSIONS, "require y", "grammar:90: %require y: no symbol y. Known: "),
        (EXPRESSIONS, "forbid exq", "no symbol exq. Did you mean 'exp'?"),
        (EXPRESSIONS, "forbid 'exp'", "no symbol 'exp'. Did you mean 'exp('?"),
        (EXPRESSIONS, "forbid 'S'", "no symbol 'S'."),
        (EXPRESSIONS, "forbid x in", "%forbid x in: write %forbid SYMBOL or %forbid SYMBOL in SYMBOL"),
        (EXPRESSIONS, "nest sin", "%nest sin: write %nest SYMBOL NUMBER"),
        (EXPRESSIONS, "nest sin exp 1", "write %nest SYMBOL NUMBER"),
        (EXPRESSIONS, "limit x -1", "'-1' is not a number from 0 to 999999"),
        (EXPRESSIONS, f"limit x {'9' * 5000}", "is not a number"),
        (EXPRESSIONS, "requires x", "no such directive. Did you mean 'require'?"),
        (EXPRESSIONS, "require )", None),
        (AMBIGUOUS, "nest f 0", "f may mean any of 'f(', 'f['; write a terminal in quotes, in full"),
        (AMBIGUOUS, "require x", "x may mean any of 'x', x; write"),
        (AMBIGUOUS, "require 'x'", None),
        (EXPRESSIONS, "limit T 0", "%limit T 0: no sentence of at most 15 productions obeys it"),
    ],
)
def test_mistakes(text: str, directive: str, message: str | None) -> None:
    if message is None:
        constrained(text, directive)
        return
    with pytest.raises(UserError) as error:
        constrained(text, directive)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_contradictions_name_all_that_are_involved() -> None:
    with pytest.raises(
        UserError, match=r"^grammar:91: %require x with %forbid x \(line 90\): no sentence of at most 15"
    ):
        constrained(EXPRESSIONS, "forbid x", "require x")


def test_growth_is_capped() -> None:
    with pytest.raises(UserError, match=r"^grammar:91: %limit x 150 with .*: makes more than 20,000 productions"):
        constrained(EXPRESSIONS.replace("%max_len 15", "%max_len 400"), "nest sin 1", "limit x 150")
    wide = "%max_len 99\nS -> " + "A " * 60 + "\nA -> 'a' | 'b'\n"
    with pytest.raises(UserError, match="makes more than 20,000"):
        constrained(wide, "limit a 5")


def test_parses_what_obeys_and_says_what_does_not() -> None:
    grammar = Grammar.compile(EXPRESSIONS + "%nest sin 0  # never sin(sin(x))\n%limit '/' 1\n", "mine.cfg")
    for sentence in ("sin(x)+sin(1/x)", "exp(sin(2))"):
        ids = grammar.parse(sentence)
        assert grammar.unparse(ids) == sentence
        assert grammar.decode(one_hot(grammar, ids)).ids[0].tolist() == ids.tolist()
    line = EXPRESSIONS.count("\n") + 1
    ids, reasons = grammar.parse_all(["x", "sin(exp(sin(x)))", "1/2/x"])
    assert grammar.unparse_all(ids)[0] == "x"
    assert list(reasons) == [1, 2]
    assert (ids[1:] == grammar.pad).all()
    assert f"violates %nest sin 0 (mine.cfg:{line})" in reasons[1]
    assert f"violates %limit '/' 1 (mine.cfg:{line + 1})" in reasons[2]


def one_hot(grammar: Grammar, ids: np.ndarray[tuple[int], np.dtype[np.int16]]) -> torch.Tensor:
    """`(1, T, P + 1)` logits of one derivation."""
    return torch.nn.functional.one_hot(torch.tensor(ids, dtype=torch.long), grammar.pad + 1)[None].float()
