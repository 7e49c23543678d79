"""What problems promise to do."""

from __future__ import annotations

import math
import pickle
from collections.abc import Sequence

from dimecli.errors import UserError
from dimecli.lazy import np
from dimecli.plugin import Language, Outcome, Problem
from dimecli.registry import entry_of, make, names
from dimecli.testing.expect import expect, only_own_randomness

_CHECKED = 50
_NONE = ("", "no sentence of any grammar", "\x00", "(" * 20_000)


def check_problem(problem: Problem, where: str) -> None:
    """Evaluates sentences of a grammar that the problem accepts, and what is no sentence of any.

    Raises:
        AssertionError: something does not hold; the message says what, and the cure.
        UserError: it accepts no installed grammar, or something that it needs is not here.
    """
    direction = problem.direction
    expect(direction in ("min", "max"), f"{where}: direction is {direction!r}", "say 'min' or 'max'")
    expect(problem.value_name, f"{where}: value_name is empty", "name the value, for tables and plots")
    language = _accepted(problem)
    grammar = language.compile()
    drawn = grammar.unparse_all(grammar.sample(_CHECKED, np.random.default_rng(1), "pcfg"))
    sentences = [*map(str, drawn), *_NONE]
    with only_own_randomness(f"{where}: evaluate"):
        values = _values(problem, sentences, language, where)
    expect(
        any(value is not None for value in values[:_CHECKED]),
        f"{where}: {_CHECKED} sentences of {type(language).__name__} are all invalid",
        "refuse the grammar in check()",
    )
    twin = pickle.loads(pickle.dumps(problem))  # bytes made here: so it is sent to other processes
    again = _values(twin, sentences[::-1], language, where)[::-1]
    expect(
        all(map(_same, values, again)),
        f"{where}: in another order, or from a copy, sentences have other values",
        "keep nothing between them, and all that counts in the options",
    )
    _check_bounds(problem, [value for value in values if value is not None], where)


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


def _values(problem: Problem, sentences: Sequence[str], language: Language, where: str) -> list[float | None]:
    """The value of each sentence, None for an invalid one, evaluated as the host does it."""
    batches = [sentences] if problem.cheap else [[sentence] for sentence in sentences]
    return [value for batch in batches for value in _batch(problem, batch, language, where)]


def _batch(problem: Problem, batch: Sequence[str], language: Language, where: str) -> list[float | None]:
    try:
        outcomes = list(problem.evaluate(batch, language))
    except Exception as error:  # it may be anything
        several = len(batch) > 1
        cure = "return Outcome(None, reason) for what cannot be evaluated"
        expect(not several, f"{where}: one of {len(batch)} sentences raises {error!r}, which loses them all", cure)
        return [None]
    expect(
        len(outcomes) == len(batch),
        f"{where}: {len(outcomes)} outcomes for {len(batch)} sentences",
        "return one for each, in their order",
    )
    return [_value(outcome, where) for outcome in outcomes]


def _value(outcome: object, where: str) -> float | None:
    if isinstance(outcome, Outcome):
        reason = outcome.value is not None or outcome.reason
        expect(reason, f"{where}: an outcome without a value has no reason", "give Outcome(None, reason) one")
        outcome = outcome.value
    number = outcome is None or isinstance(outcome, int | float)
    expect(number, f"{where}: a sentence is worth {outcome!r}", "return floats and Outcomes")
    assert outcome is None or isinstance(outcome, int | float)
    return None if outcome is None or not math.isfinite(outcome) else float(outcome)


def _same(a: float | None, b: float | None) -> bool:
    return a is b if a is None or b is None else math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-9)


def _check_bounds(problem: Problem, values: Sequence[float], where: str) -> None:
    """What is found lies between the worst and the best value that the problem declares."""
    sign = 1 if problem.direction == "max" else -1
    worst, optimum = problem.worst, problem.optimum
    lowest, highest = min(sign * value for value in values), max(sign * value for value in values)
    slack = 1e-9 * max(1.0, abs(lowest), abs(highest))
    expect(
        worst is None or sign * worst <= lowest + slack,
        f"{where}: a sentence is worth {sign * lowest:g}, the worst value there is {worst}",
        "correct `worst`, or `direction`",
    )
    expect(
        optimum is None or sign * optimum >= highest - slack,
        f"{where}: a sentence is worth {sign * highest:g}, the best value there is {optimum}",
        "correct `optimum`, or `direction`",
    )
