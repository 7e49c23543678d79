"""What problems promise to do."""

from __future__ import annotations

import math
import numbers
import pickle
from collections.abc import Sequence

from dimecli.errors import UserError
from dimecli.lazy import np
from dimecli.plugin import Language, Outcome, Problem
from dimecli.registry import entry_of, make, names
from dimecli.search.call import outcome_of, plain
from dimecli.testing.contract import Contract
from dimecli.testing.expect import expect, only_own_randomness

_CHECKED = 50
_NONE = ("", "no sentence of any grammar", "\x00", "(" * 20_000)


def check_problem(contract: Contract, problem: Problem) -> None:
    """Evaluates sentences of a grammar that the problem accepts, and what is no sentence of any."""
    with contract.needed("it says which values are better, and what they are"):
        direction = problem.direction
        expect(direction in ("min", "max"), f"direction is {direction!r}", "say 'min' or 'max'")
        expect(problem.value_name, "value_name is empty", "name the value, for tables and plots")
    with contract.needed("it accepts a grammar that is installed"):
        language = _accepted(problem)
        grammar = language.compile()
    drawn = [str(text) for text in grammar.unparse_all(grammar.sample(_CHECKED, np.random.default_rng(1), "pcfg"))]
    with contract.needed("sentences have finite values, or reasons why there is none"), only_own_randomness():
        values = _values(problem, drawn, language)
    with contract.promise("it survives what is no sentence"):
        values = _values(problem, [*drawn, *_NONE], language)
    sentences = [*drawn, *_NONE][: len(values)]
    with contract.needed("some sentences are valid"):
        if all(value is None for value in values[:_CHECKED]):
            wrong = f"{_CHECKED} sentences of {type(language).__name__} are all invalid"
            raised = _raised(problem, drawn[0], language)
            expect(False, wrong + raised, "mend that, or refuse the grammar in check()")
    with contract.promise("in another order, and from a copy, a sentence has the same value"):
        twin = pickle.loads(pickle.dumps(problem))  # bytes made here: so it is sent to other processes
        again = _values(twin, sentences[::-1], language)[::-1]
        expect(all(map(_same, values, again)), "it has another", "keep nothing, and put all that counts into options")
    if problem.cheap:
        with contract.promise("a sentence alone is worth what it is among others"):
            alone = [value for sentence in sentences for value in _batch(problem, [sentence], language)]
            expect(all(map(_same, values, alone)), "it is worth something else", "evaluate each by itself")
    with contract.promise("no value is beyond the worst and the best that it declares"):
        _check_bounds(problem, [value for value in values if value is not None])


def _accepted(problem: Problem) -> Language:
    """The first installed grammar that the problem accepts; those come first that are published with it."""
    own = entry_of(problem).name
    languages: list[Language] = [make("grammar", name) for name in names("grammar")]
    refusals = []
    for language in sorted(languages, key=lambda language: language.problem != own):
        try:
            problem.check(language)
        except UserError as error:
            refusals.append(error)
        else:
            return language
    raise refusals[0]


def _values(problem: Problem, sentences: Sequence[str], language: Language) -> list[float | None]:
    """The value of each sentence, None for an invalid one, evaluated as the host does it."""
    batches = [sentences] if problem.cheap else [[sentence] for sentence in sentences]
    return [value for batch in batches for value in _batch(problem, batch, language)]


def _batch(problem: Problem, batch: Sequence[str], language: Language) -> list[float | None]:
    try:
        outcomes = list(problem.evaluate(batch, language))
    except Exception as error:  # it may be anything
        several = len(batch) > 1
        cure = "return Outcome(None, reason) for what cannot be evaluated"
        expect(not several, f"one of {len(batch)} sentences raises {error!r}, which loses them all", cure)
        return [None]
    wrong = f"{len(outcomes)} outcomes for {len(batch)} sentences"
    expect(len(outcomes) == len(batch), wrong, "return one for each, in their order")
    return [_value(outcome) for outcome in outcomes]


def _raised(problem: Problem, sentence: str, language: Language) -> str:
    """What a sentence raises, in brackets; empty if nothing."""
    try:
        problem.evaluate([sentence], language)
    except Exception as error:  # it may be anything
        return f" ({error!r})"
    return ""


def _value(outcome: object) -> float | None:
    if isinstance(outcome, Outcome):
        reason = outcome.value is not None or outcome.reason
        expect(reason, "an outcome without a value has no reason", "give Outcome(None, reason) one")
        outcome = outcome.value
        if outcome is None:
            return None
    number = plain(outcome)
    is_number = isinstance(number, numbers.Real) and not isinstance(number, bool)
    expect(is_number, f"a sentence is worth {outcome!r}", "return floats and Outcomes")
    return outcome_of(number).value  # as the host takes it


def _same(a: float | None, b: float | None) -> bool:
    return a is b if a is None or b is None else math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-9)


def _check_bounds(problem: Problem, values: Sequence[float]) -> None:
    """What is found lies between the worst and the best value that the problem declares."""
    sign = 1 if problem.direction == "max" else -1
    worst, optimum = problem.worst, problem.optimum
    lowest, highest = min(sign * value for value in values), max(sign * value for value in values)
    slack = 1e-9 * max(1.0, abs(lowest), abs(highest))
    expect(
        worst is None or sign * worst <= lowest + slack,
        f"a sentence is worth {sign * lowest:g}, the worst value there is {worst}",
        "correct `worst`, or `direction`",
    )
    expect(
        optimum is None or sign * optimum >= highest - slack,
        f"a sentence is worth {sign * highest:g}, the best value there is {optimum}",
        "correct `optimum`, or `direction`",
    )
