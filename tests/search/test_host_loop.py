"""The host: budget, order, what a search is told, and what it may propose."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from host_fakes import Calls, Circle, Climb, Fixed, LowWave, Wave, number, outcome_of, value_of, word

from dimecli.errors import DimeError, UserError
from dimecli.plugin import Candidates, History, Outcome, Problem, Search, Space
from dimecli.search.loop import Observer, search
from dimecli.search.result import Evaluation, Result
from dimecli.search.settings import SearchSettings


def run(
    strategy: Search | None = None,
    oracle: Any = None,
    problem: Problem | None = None,
    space: Circle | None = None,
    observer: Observer | None = None,
    cache: dict[str, Outcome] | None = None,
    **options: Any,
) -> Result:
    settings = SearchSettings(**{"rounds": 3, "batch": 8, "initial": 10, **options})
    evaluates: Any = oracle or Calls()
    return search(space or Circle(), evaluates, problem or Wave(), strategy or Climb(), settings, None, observer, cache)


def proposing(*rounds: Sequence[str | None]) -> tuple[Fixed, list[tuple[int, History, int]]]:
    """A search that proposes these sentences, ask by ask, and what it was asked."""
    left, asked = list(rounds), []

    def ask(n: int, history: History, space: Space, rng: torch.Generator) -> Candidates:
        asked.append((n, history, rng.initial_seed()))
        return Candidates(left.pop(0) if left else [])

    return Fixed(asks=ask), asked


def test_the_budget_is_of_different_sentences() -> None:
    oracle = Calls()
    result = run(oracle=oracle, initial_from="random")
    assert result.calls == len(set(result.sentences)) == 24
    assert result.rounds.tolist() == [number for number in (1, 2, 3) for _ in range(8)]
    assert len(oracle.calls) == len(set(oracle.calls)) == 24 + 10
    assert len(result.initial) == 10
    assert {start.sentence for start in result.initial} <= set(Circle().sentences)
    assert not {start.sentence for start in result.initial} & set(result.sentences)
    for evaluation in [*result.initial, *result.found]:
        expected = outcome_of(number(evaluation.sentence))
        assert (evaluation.value, evaluation.reason) == (expected.value, expected.reason)


@pytest.mark.parametrize("order", ["reversed", "shuffled"])
@pytest.mark.parametrize("initial_from", ["half", "random"])
def test_nothing_depends_on_the_order_of_results(order: Any, initial_from: str) -> None:
    given, other = (run(oracle=Calls(order), initial_from=initial_from) for order in ("given", order))
    assert other.found == given.found
    assert other.initial == given.initial


def test_another_seed_finds_other_sentences() -> None:
    first, same, other = (run(seed=seed) for seed in (0, 0, 1))
    assert first.found == same.found
    assert first.sentences != other.sentences
    assert [start.sentence for start in first.initial] != [start.sentence for start in other.initial]


def test_a_search_is_told_whole_rounds_in_the_order_of_proposal() -> None:
    strategy, asked = proposing([word(6), word(1)], [word(4), word(2)])
    run(strategy, Calls("reversed"), LowWave(least=5.0), rounds=2, batch=2, initial=0)
    (_, first, _), (_, second, _) = asked
    assert first.codes.shape == (0, 2)
    assert (first.sentences, first.seen) == ([], frozenset())
    assert second.sentences == [word(6), word(1)]
    assert second.values.tolist() == [-5.0, -value_of(1)], "turned, so that larger is better; invalid at worst"
    assert second.valid.tolist() == [False, True]
    assert second.rounds.tolist() == [1, 1]
    assert second.rounds.dtype == torch.int64
    assert torch.equal(second.codes, Circle().encode([word(6), word(1)])), "the encoder's, for want of others"
    assert second.seen == {word(6), word(1)}


@pytest.mark.parametrize(("problem", "worst"), [(Wave(), value_of(0)), (LowWave(), -value_of(3))])
def test_an_invalid_sentence_counts_as_the_worst_found(problem: Problem, worst: float) -> None:
    strategy, asked = proposing([word(0), word(3), word(6)], [])
    run(strategy, problem=problem, rounds=2, batch=3, initial=0)
    assert asked[-1][1].values[2].item() == worst


def test_an_invalid_sentence_is_dropped() -> None:
    strategy, asked = proposing([word(0), word(6), word(3)], [])
    run(strategy, rounds=2, batch=3, initial=0, invalid="drop")
    history = asked[-1][1]
    assert history.sentences == [word(0), word(3)]
    assert history.values.tolist() == [value_of(0), value_of(3)]
    assert history.valid.all()
    assert history.seen == {word(0), word(6), word(3)}, "it needs no evaluation any more"


def test_a_round_asks_again_for_what_is_missing() -> None:
    strategy, asked = proposing([word(1), word(1), None, word(2)], [word(2), word(3), word(4)], [word(1)])
    result = run(strategy, rounds=1, batch=3, initial=0)
    assert result.sentences == [word(1), word(2), word(3)]
    assert [n for n, _, _ in asked] == [3, 1]
    assert asked[1][1].seen == {word(1), word(2)}
    assert asked[0][2] != asked[1][2], "an attempt draws other numbers"
    assert (result.calls, result.proposals, result.incomplete) == (3, 6, 1), "the seventh was not looked at"
    assert result.distinct_rate == 0.5


def test_a_search_without_new_sentences_has_a_short_round_and_ends() -> None:
    class Rounds(Observer):
        def __init__(self) -> None:
            self.begun: list[tuple[int, int, int]] = []

        def begins(self, number: int, evaluations: int, wanted: int) -> None:
            self.begun.append((number, evaluations, wanted))

    strategy, asked = proposing([word(1)], [word(1)], [], [], [word(1)], [None, word(1)], [None])
    observer = Rounds()
    result = run(strategy, rounds=5, batch=3, initial=0, observer=observer)
    assert result.sentences == [word(1)]
    assert observer.begun == [(0, 0, 0), (1, 1, 3), (2, 0, 3)]
    assert (result.proposals, result.incomplete) == (6, 2), "those of the last round too"
    assert len(asked) == 8


def test_codes_are_kept_as_proposed_and_expectations_turned() -> None:
    codes = torch.tensor([[0.6, 0.8], [1.0, 0.0]])
    asked = Candidates([word(1), word(2)], codes, torch.tensor([1.5, float("nan")]), torch.tensor([0.5, 1.0]))
    result = run(Fixed(asks=lambda *_: asked), problem=LowWave(), rounds=1, batch=2, initial=0)
    assert [evaluation.code for evaluation in result.found] == [tuple(code) for code in codes.double().tolist()]
    assert [evaluation.mean for evaluation in result.found] == [-1.5, None]
    assert result.mean.isnan().tolist() == [False, True]
    assert result.std.tolist() == [0.5, 1.0]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"codes": torch.tensor([[float("nan"), 1.0]])}, "proposes codes that are not finite"),
        ({"codes": torch.ones(2, 2)}, "that are not one per sentence"),
        ({"mean": torch.ones(2)}, "that are not one per sentence"),
        ({"std": torch.ones(0)}, "that are not one per sentence"),
    ],
)
def test_candidates_that_are_none(given: dict[str, torch.Tensor], said: str) -> None:
    with pytest.raises(DimeError, match=f"the search Fixed .*{said}"):
        run(Fixed(asks=lambda *_: Candidates([word(1)], **given)), initial=0)


def test_searches_that_share_a_cache_repeat_no_call() -> None:
    first, second, alone = Calls(), Calls(), Calls()
    cache: dict[str, Outcome] = {}
    searched = run(oracle=first, cache=cache)
    again = run(oracle=second, cache=cache, seed=1)
    assert again.sentences == run(oracle=alone, seed=1).sentences
    assert again.calls == searched.calls == 24
    assert not set(first.calls) & set(second.calls)
    unasked = {evaluation.sentence for evaluation in again.found if evaluation.seconds is None}
    assert unasked == set(again.sentences) & set(first.calls)
    assert unasked, "otherwise this shows nothing"


def test_half_leaves_the_better_half_out_and_counts_what_it_looked_at() -> None:
    oracle = Calls()
    result = run(oracle=oracle)
    space = Circle()
    assert result.surveyed == len(space.sentences)
    assert oracle.calls[: result.surveyed] == space.sentences
    valued = sorted(outcome_of(number(text)).value or -9 for text in space.sentences)
    assert result.initial_best == valued[(len(valued) + 1) // 2 - 1], "the best of the worse half"
    assert len(result.initial) == 10


def test_only_a_cheap_problem_lets_all_training_sentences_be_evaluated() -> None:
    with pytest.raises(UserError, match=r"--initial-from best: it evaluates every training .*; allowed: random"):
        run(problem=Wave(thrifty=False), initial_from="best")
    result = run(problem=Wave(thrifty=False))
    assert result.surveyed == 0
    assert len(result.initial) == 10
    assert run(initial=0).surveyed == 0, "nothing was looked at"


def test_fewer_training_sentences_than_asked_for() -> None:
    space = Circle([3, 1, 3, 8, 2])
    assert sorted(start.sentence for start in run(space=space, initial_from="random").initial) == sorted(
        map(word, (1, 2, 3, 8))
    )
    assert len(run(space=space, initial_from="half").initial) == 2


def test_a_search_for_another_latent_space_and_a_problem_for_another_language() -> None:
    class Flat(Climb):
        latent_spaces = frozenset({"euclidean"})

    class Picky(Wave):
        def check(self, language: Any) -> None:
            raise UserError(f"no {language.compile().start}")

    with pytest.raises(UserError, match="Flat is for a latent space that is euclidean; this run's is sphere"):
        run(Flat())
    with pytest.raises(UserError, match="no 0"):
        run(problem=Picky())


def test_an_observer_is_told_everything() -> None:
    class All(Observer):
        def __init__(self) -> None:
            self.seen: list[Evaluation] = []
            self.results: list[tuple[int, int]] = []

        def evaluated(self, evaluation: Evaluation) -> None:
            self.seen.append(evaluation)

        def ends(self, number: int, result: Result) -> None:
            self.results.append((number, result.calls))

    observer = All()
    result = run(oracle=Calls("shuffled"), observer=observer)
    assert sorted(observer.seen, key=lambda seen: (seen.round, seen.index)) == [*result.initial, *result.found]
    assert observer.results == [(0, 0), (1, 8), (2, 16), (3, 24)]
