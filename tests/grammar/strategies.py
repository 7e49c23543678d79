"""Random grammars for property tests."""

from __future__ import annotations

import nltk  # noqa: F401  # its first import draws from `random`, which a strategy must not do
from hypothesis import strategies as st

from dimecli.grammar import Grammar

_NONTERMINALS = ("S", "A", "B", "C")
_TERMINALS = ("a", "b", "c", "(", ")")


@st.composite
def grammar_texts(draw: st.DrawFn, max_len: int = 8) -> str:
    """nltk text of a small grammar in which every nonterminal has a short way to end; recursion and empty
    right-hand sides occur, cycles of unit productions do not."""
    used = _NONTERMINALS[: draw(st.integers(1, 4))]
    lines = [f"%start {used[0]}", f"%max_len {max_len}"]
    for number, name in enumerate(used):
        alternatives = [draw(st.lists(st.sampled_from(_TERMINALS), max_size=2))]  # may be empty
        for _ in range(draw(st.integers(0, 3))):
            terminal = draw(st.sampled_from(_TERMINALS))
            others = draw(st.lists(st.sampled_from(used), max_size=2))
            place = draw(st.integers(0, len(others)))
            alternatives.append([*others[:place], terminal, *others[place:]])
        if number + 1 < len(used):  # every nonterminal is reachable, and units go one way only
            alternatives.append([used[number + 1]])
        for symbols in dict.fromkeys(map(tuple, alternatives)):
            shown = " ".join(symbol if symbol in used else f"'{symbol}'" for symbol in symbols)
            lines.append(f"{name} -> {shown}")
    return "\n".join(lines)


def grammars(max_len: int = 8) -> st.SearchStrategy[Grammar]:
    """The same, compiled."""
    return grammar_texts(max_len).map(Grammar.compile)
