"""What all bundled grammars have in common."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import dimecli_grammars
from dimecli.grammar import Grammar
from dimecli.registry import find, make, names

BUNDLED = ["boolean", "expressions", "expressions-infix", "rna", "smiles"]


@pytest.fixture(params=BUNDLED)
def grammar(request: pytest.FixtureRequest) -> Grammar:
    return make("grammar", request.param).compile()  # type: ignore[no-any-return]


def test_every_file_is_a_registered_grammar() -> None:
    files = Path(dimecli_grammars.__path__[0]).glob("*.cfg")
    assert sorted(file.stem.replace("_", "-") for file in files) == BUNDLED
    assert set(BUNDLED) <= set(names("grammar"))


@pytest.mark.parametrize("name", BUNDLED)
def test_it_says_what_it_is(name: str) -> None:
    assert 20 < len(find("grammar", name).plugin.summary()) < 100
    header = make("grammar", name).text().splitlines()
    assert header[0].startswith("# ")
    assert any(line.startswith("%max_len") for line in header)


def test_it_compiles_without_a_warning(grammar: Grammar) -> None:
    assert grammar.notes == ()
    used = {rule for row in grammar.sample(3000, np.random.default_rng(0), "length").tolist() for rule in row}
    assert used == set(range(grammar.pad + 1))


def test_it_is_deterministic_and_so_unambiguous(grammar: Grammar) -> None:
    assert grammar.parser.method == "LALR(1)"


def test_no_two_short_derivations_have_the_same_sentence(grammar: Grammar) -> None:
    short = [length for length, count in enumerate(grammar.counts[0]) if 0 < sum(grammar.counts[0][: length + 1]) < 3e4]
    sentences = [sentence for length in short for sentence in grammar.unparse_all(grammar.enumerate(length))]
    assert len(sentences) > 1000
    assert len(set(sentences)) == len(sentences)


def test_sentences_parse_to_their_derivations(grammar: Grammar) -> None:
    ids = grammar.sample(2000, np.random.default_rng(1), "length")
    sentences = [str(sentence) for sentence in grammar.unparse_all(ids)]
    parsed, failures = grammar.parse_all(sentences)
    assert not failures
    np.testing.assert_array_equal(parsed, ids)
