"""The searches without a model of the values: random, pcfg and evolve."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from dimecli.grammar import Grammar
from dimecli.plugin import History
from dimecli.registry import make
from dimecli.search.draws import MOST_DRAWS

GRAMMAR = "%start S\n%max_len 9\nS -> S '+' T [1] | T [3]\nT -> 'x' [1] | 'y' [2] | '(' S ')' [1]"


def _history(sentences: list[str], values: list[float], seen: set[str] | None = None) -> History:
    n = len(sentences)
    zeros = torch.zeros(n, dtype=torch.int64)
    return History(
        sentences, torch.zeros(n, 2), torch.tensor(values).double(), zeros == 0, zeros, frozenset(seen or sentences)
    )


def _space(**changes: Any) -> Any:
    return SimpleNamespace(grammar=Grammar.compile(GRAMMAR), latent_space="sphere", **changes)


def _rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_random_decodes_what_the_density_gives_and_keeps_what_has_no_sentence() -> None:
    words = ["x", "y", None, "x+y", "x+x", "y+y", "y+x"]

    def sample(n: int, rng: torch.Generator) -> torch.Tensor:
        return torch.randint(len(words), (n, 1), generator=rng).double()

    space = _space(sample=sample, decode=lambda codes: [words[int(code)] for code in codes])
    asked = make("search", "random").ask(4, _history(["x"], [0.0]), space, _rng())
    assert asked.codes is not None
    assert asked.mean is asked.std is None
    assert list(asked.sentences) == space.decode(asked.codes)
    assert None in asked.sentences
    assert len(set(asked.sentences) - {None, "x"}) >= 4
    drawn = make("search", "random").ask(6, _history(words[:2], [0.0, 0.0]), space, _rng())  # type: ignore[arg-type]
    assert len(drawn.sentences) == 6 * MOST_DRAWS, "there are four"


@pytest.mark.parametrize("by", ["pcfg", "uniform", "length"])
def test_pcfg_draws_by_the_law_that_is_asked_for(by: str) -> None:
    space = _space()
    asked = make("search", "pcfg", by=by).ask(3000, _history([], []), space, _rng())
    own = Counter(map(len, map(str, asked.sentences[:3000])))
    ids = space.grammar.sample(3000, np.random.default_rng(5), by)
    law = Counter(map(len, space.grammar.unparse_all(ids)))
    for length in law | own:
        assert abs(law[length] - own[length]) < 5 * np.sqrt(law[length] + own[length]), (length, law, own)


def test_evolve_mates_the_best_and_lets_equal_values_take_turns() -> None:
    search = make("search", "evolve", population=4)
    sentences = ["x+(x)", "x+x", "y", "(y)", "((x))", "x+y", "y+y+y"]
    values = [1.0, 1.0, 1.0 - 1e-12, 0.5, -1.0, -2.0, -3.0]
    parents = search._parents(Grammar.compile(GRAMMAR), _history(sentences, values))
    names = Grammar.compile(GRAMMAR).unparse_all(parents)
    assert names == ["y", "(y)", "((x))", "x+y"]  # one of the equal ones, the shortest, and the next values
    many = make("search", "evolve", population=7)._parents(Grammar.compile(GRAMMAR), _history(sentences, values))
    assert Grammar.compile(GRAMMAR).unparse_all(many) == [*names, "y+y+y", "x+x", "x+(x)"]


def test_evolve_passes_over_what_is_no_sentence_of_the_grammar() -> None:
    parents = make("search", "evolve")._parents(
        Grammar.compile(GRAMMAR), _history(["++", "x", "z", "y"], [9.0, 1.0, 8.0, 2.0])
    )
    assert Grammar.compile(GRAMMAR).unparse_all(parents) == ["y", "x"]


def test_evolve_starts_from_the_grammar_where_there_is_nothing() -> None:
    asked = make("search", "evolve").ask(20, _history([], []), _space(), _rng())
    assert len(set(asked.sentences)) >= 20


def test_children_are_mutants_or_crosses() -> None:
    """Crosses have no symbol that their parents lack; mutants do."""
    space, history = _space(), _history(["x+x", "(x)", "x"], [2.0, 1.0, 0.0])
    crosses = make("search", "evolve", mutation=0.0).ask(3, history, space, _rng())
    assert {letter for text in crosses.sentences if text for letter in text} <= set("x+()")
    assert len(set(crosses.sentences) - history.seen) >= 3
    mutants = make("search", "evolve", mutation=1.0).ask(3, history, space, _rng())
    assert any("y" in str(text) for text in mutants.sentences)


def test_evolve_finds_a_sentence_of_many_symbols_that_draws_do_not() -> None:
    grammar = Grammar.compile("%start S\n%max_len 13\nS -> " + " ".join("D" * 12) + "\nD -> 'a' | 'b' | 'c' | 'd'")
    target, search = "abcdabcdabcd", make("search", "evolve")

    def worth(text: str) -> float:
        return float(sum(a == b for a, b in zip(text, target, strict=True)))

    sentences = grammar.unparse_all(grammar.sample(50, np.random.default_rng(0)))
    values = [worth(str(text)) for text in sentences]
    for number in range(15):
        history = _history([str(text) for text in sentences], values)
        asked = search.ask(50, history, SimpleNamespace(grammar=grammar), _rng(number))
        new = [text for text in dict.fromkeys(asked.sentences) if text and text not in history.seen][:50]
        assert len(new) == 50
        sentences, values = [*sentences, *new], [*values, *map(worth, new)]
    drawn = [worth(str(text)) for text in grammar.unparse_all(grammar.sample(800, np.random.default_rng(1)))]
    assert max(values) >= 11 > max(drawn)
