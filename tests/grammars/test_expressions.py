"""GrammarVAE's grammar and data, against what is known of them."""

from __future__ import annotations

from collections import Counter

from dimecli.registry import make

LANGUAGE = make("grammar", "expressions")
ROWS = LANGUAGE.sources["gvae"]()


def test_counts_of_derivations() -> None:
    counts = LANGUAGE.compile().counts[0]
    found = {length: count for length, count in enumerate(counts) if count}
    assert found == {2: 4, 4: 60, 6: 1_044, 8: 19_980, 10: 407_268, 12: 8_675_100, 14: 190_837_620}


def test_the_rows_of_grammarvae() -> None:
    assert len(ROWS) == len(set(ROWS)) == 100_000
    assert ROWS[:2] == ["x+x+(x)+(x+x)", "x+x+(x)+(x+1)"]
    assert ROWS[99_908] == "1/3+(x)+sin(x*x)"
    assert {row.split("+")[0] for row in ROWS[90_000:]} == {"x/3", "1/x", "1/1", "1/2", "1/3"}
    ids, failures = LANGUAGE.compile().parse_all(ROWS)
    assert not failures
    assert Counter((ids < 11).sum(1).tolist()) == {8: 624, 10: 3_748, 12: 28_092, 14: 67_536}
    assert set(ids[:, 0].tolist()) == {0}
