from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dimecli.errors import UserError
from dimecli.grammar import Grammar
from dimecli.grammar.compile import compile_rules
from dimecli.grammar.lengths import shortest
from dimecli.grammar.rules import Nonterminal, Production, Rules

NAMES = [Nonterminal(name) for name in "SAB"]
Form = tuple[Nonterminal | str, ...]

raw_rules = st.lists(
    st.tuples(st.sampled_from(NAMES), st.lists(st.sampled_from([*NAMES, "a", "b"]), max_size=2).map(tuple)),
    min_size=1,
    max_size=7,
)


def rules_of(pairs: Sequence[tuple[Nonterminal, Form]]) -> Rules:
    return Rules("g", tuple(Production(lhs, rhs, None, line) for line, (lhs, rhs) in enumerate(pairs, 1)), NAMES[0])


def derived(pairs: Sequence[tuple[Nonterminal, Form]], steps: int) -> dict[tuple[int, str], int]:
    """Leftmost derivations from S by length and sentence, by rewriting in all ways."""
    found: dict[tuple[int, str], int] = {}
    forms: dict[Form, int] = {(NAMES[0],): 1}
    for step in range(1, steps + 1):
        longer: dict[Form, int] = {}
        for form, ways in forms.items():
            at = next(i for i, symbol in enumerate(form) if isinstance(symbol, Nonterminal))
            for lhs, rhs in dict.fromkeys(pairs):
                if lhs == form[at]:
                    new = (*form[:at], *rhs, *form[at + 1 :])
                    open_symbols = sum(isinstance(symbol, Nonterminal) for symbol in new)
                    if not open_symbols:
                        key = step, "".join(map(str, new))
                        found[key] = found.get(key, 0) + ways
                    elif open_symbols <= steps - step:
                        longer[new] = longer.get(new, 0) + ways
        forms = longer
    return found


def loops(pairs: Sequence[tuple[Nonterminal, Form]]) -> set[Nonterminal]:
    """The nonterminals A with A =>+ A, by rewriting terminal-free forms."""
    found = set()
    for name in NAMES:
        seen: set[Form] = set()
        todo: list[Form] = [(name,)]
        while todo:
            form = todo.pop()
            for at, symbol in enumerate(form):
                for lhs, rhs in pairs:
                    new = (*form[:at], *rhs, *form[at + 1 :])
                    if (
                        lhs == symbol
                        and len(new) <= 4
                        and new not in seen
                        and all(isinstance(s, Nonterminal) for s in new)
                    ):
                        seen.add(new)
                        todo.append(new)
        if (name,) in seen:
            found.add(name)
    return found


@settings(derandomize=True, deadline=None, max_examples=200)
@given(raw_rules)
def test_compiling_keeps_the_derivations_and_refuses_the_rest(pairs: list[tuple[Nonterminal, Form]]) -> None:
    steps = 6
    defined = {lhs for lhs, _ in pairs}
    used = {symbol for _, rhs in pairs for symbol in rhs if isinstance(symbol, Nonterminal)} | {NAMES[0]}
    try:
        grammar = compile_rules(rules_of(pairs), max_len=steps)
    except UserError as error:
        message = str(error)
        if "no rule for" in message:
            assert not used <= defined
        elif "is a cycle" in message:
            assert loops(pairs)
        else:
            assert "derives no sentence" in message or "maximum length" in message
            assert not derived(pairs, steps)
        return
    assert used <= defined
    kept = [(p.lhs, p.rhs) for p in grammar.productions]
    assert not loops(kept)
    assert derived(kept, steps) == derived(pairs, steps)
    ids = np.concatenate([grammar.enumerate(n) for n in range(1, steps + 1)])
    assert len(ids) == sum(derived(pairs, steps).values())
    dropped = {note.split(":")[0] for note in grammar.notes}
    assert dropped == {f"line {n}" for n in range(1, len(pairs) + 1)} - {f"line {p.line}" for p in grammar.productions}


@settings(derandomize=True, deadline=None, max_examples=200)
@given(st.lists(st.tuples(st.integers(0, 4), st.lists(st.integers(0, 4), max_size=3)), min_size=1, max_size=10))
def test_shortest_is_the_least_fixpoint(rules: list[tuple[int, list[int]]]) -> None:
    lengths = [np.inf] * 5
    for _ in range(5):  # a shortest derivation is at most as high as there are nonterminals
        for lhs, children in rules:
            lengths[lhs] = min(lengths[lhs], 1 + sum(lengths[child] for child in children))
    found = shortest(np.array([lhs for lhs, _ in rules]), [children for _, children in rules], 5)
    assert [np.inf if length == 2**40 else length for length in found.tolist()] == lengths


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("S -> 'a' Tt\nT -> 'b'", "g:1: no rule for Tt. Did you mean T? It is used in S -> 'a' Tt"),
        ("S -> 'a'\n%start T", "g: no rule for the start symbol T."),
        ("%start S\nA -> 'a'\nS -> 'a' S", "g:3: S derives no sentence"),
        ("S -> 'a'\nS -> A\nA -> B | 'a'\nB -> A", "g:3: A -> B -> A is a cycle"),
        ("S -> S A | 'a'\nA -> ", "g:1: S -> S is a cycle"),
        ("S -> 'x' | A A\nA -> 'a' | \nA -> S", "g:1: S -> A -> S is a cycle"),
        ("A -> 'a' | B\nB -> C N\nB -> C\nC -> A\nN -> ", "g:1: A -> B -> C -> A is a cycle"),
        ("S -> 'a'\nS -> S\nN -> \nS -> S N", "g:2: S -> S is a cycle"),
        ("%max_len 3\nS -> A A 'a'\nA -> B\nB -> 'b'", "g: the maximum length must be from 5,"),
        (
            "\n".join(f"A{i} -> A{i + 1} A{i + 1}" for i in range(60)) + "\nA60 -> 'a'",
            "the maximum length must be from",
        ),
    ],
)
def test_mistakes(text: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        Grammar.compile(text, "g")
    assert message in str(caught.value)


def test_the_argument_overrides_the_text() -> None:
    assert Grammar.compile("%max_len 9\nS -> 'a' S | 'b'", max_len=5).max_len == 5
    with pytest.raises(UserError, match="Got 1"):
        Grammar.compile("%max_len 9\nS -> A\nA -> 'a'", max_len=1)


def test_notes_name_lines() -> None:
    grammar = Grammar.compile("%max_len 9\nS -> 'a' S [3] | A | 'b' \nA -> A 'x'\nB -> 'b'\nS -> 'b' [2] | 'c' [4]")
    assert grammar.notes == (
        "line 5: S -> 'b' is dropped: it repeats line 2; weights add",
        "line 2: S -> A is dropped: A derives no sentence",
        "line 3: A -> A 'x' is dropped: A derives no sentence",
        "line 4: B -> 'b' is dropped: S does not lead to B",
    )
    np.testing.assert_allclose(grammar.weights, np.array([3, 3, 4]) / 10)


def test_notes_of_an_importer_are_kept() -> None:
    assert compile_rules(replace(rules_of([(NAMES[0], ("a",))]), notes=("left out",)), 1).notes == ("left out",)


def test_a_long_cycle_is_cut() -> None:
    rules = "\n".join(f"A{i} -> 'a' | A{(i + 1) % 9}" for i in range(9))
    with pytest.raises(UserError, match=r"A0 -> A1 -> .* -> A7 -> \.\.\. is a cycle"):
        Grammar.compile(rules)


def test_a_missing_weight_counts_as_one() -> None:
    grammar = Grammar.compile("%max_len 9\nS -> 'a' S [3] | 'b'")
    assert grammar.notes == ("line 2: only some productions of S have weights; the others count as 1",)
    np.testing.assert_allclose(grammar.weights, [0.75, 0.25])


def test_weights_of_rules_that_are_repeated_add() -> None:
    grammar = Grammar.compile("%max_len 9\nS -> 'a' [3] | 'b'\nS -> 'a' | 'c' | 'd'")
    np.testing.assert_allclose(grammar.weights, np.array([4, 1, 1, 1]) / 7)
    assert grammar.notes[-1] == "line 2: only some productions of S have weights; the others count as 1"
    np.testing.assert_allclose(Grammar.compile("S -> 'a' | 'a' | 'b'").weights, [1 / 2, 1 / 2])  # none has a weight


def test_the_start_is_number_zero() -> None:
    grammar = Grammar.compile("%start S\n%max_len 5\nB -> 'b'\nA -> B\nS -> A B")
    assert grammar.nonterminals == ("S", "B", "A")
    assert [str(p) for p in grammar.productions] == ["B -> 'b'", "A -> B", "S -> A B"]


@pytest.mark.parametrize(
    ("text", "max_len", "total"),
    [
        ("S -> 'a' S | 'b' S | 'c'", 17, 2**17 - 1),  # 2^(n-1) derivations of length n
        (
            "S -> "
            + " | ".join(f"'{n}'" for n in range(316))
            + " | A A\nA -> "
            + " | ".join(f"'{n}'" for n in range(316)),
            3,
            316 + 316**2,
        ),
        ("S -> 'a' S | 'b'", 100, 100),
        ("S -> A A\nA -> 'a' | 'b' | B\nB -> 'c'", 5, 9),
        ("\n".join(f"A{i} -> A{i + 1}" for i in range(150)) + " | 'x' A150\nA150 -> 'a'", 151, 2),
    ],
)
def test_default_max_len(text: str, max_len: int, total: int) -> None:
    grammar = Grammar.compile(text)
    assert grammar.max_len == max_len
    shown = "at least 100,000" if total >= 100_000 else str(total)
    assert grammar.notes == (f"max_len {max_len} is taken (derivations up to there: {shown}); %max_len sets it",)
    assert sum(grammar.counts[0]) == total
    if total >= 100_000:
        assert sum(grammar.counts[0][:-1]) < 100_000


def test_the_default_max_len_lets_every_production_occur() -> None:
    ways = " | ".join(f"'{n}'" for n in range(400))
    grammar = Grammar.compile(f"S -> A A | B\nA -> {ways}\nB -> C 'x'\nC -> D 'x'\nD -> 'y'")
    assert (grammar.max_len, sum(grammar.counts[0])) == (4, 400**2 + 1)


def test_the_default_max_len_is_not_long_for_the_sake_of_rare_productions() -> None:
    chain = "\n".join(f"A{i} -> A{i + 1}" for i in range(150))
    assert Grammar.compile(f"S -> 'a' S | 'b' | A0\n{chain}\nA150 -> 'x'").max_len == 100


def test_a_long_chain_of_rules_compiles() -> None:
    rules = "\n".join(f"A{i} -> 'a' A{i + 1} | 'b'" for i in range(5_000))
    grammar = Grammar.compile(f"{rules}\nA5000 -> 'c'\n%max_len 5001")
    assert grammar.min_len.max() == 1
    assert len(grammar.productions) == 10_001


@pytest.mark.parametrize("table", ["origin", "lhs", "min_len", "owed", "mask", "weights"])
@pytest.mark.parametrize("constraint", ["", "%nest T 1\n"])
def test_tables_cannot_be_written_to(table: str, constraint: str) -> None:
    grammar = Grammar.compile(f"%max_len 6\n{constraint}S -> 'a' S | T\nT -> 'b' T | 'c'")
    array = getattr(grammar, table)
    with pytest.raises(ValueError, match="read-only"):
        array[...] = 0
    tables = grammar.tables(torch.device("cpu"))
    tables.mask.fill_(True)
    assert not grammar.mask.all()
