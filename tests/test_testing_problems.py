"""`check_plugin` passes problems that keep the contract, and names what broken ones break."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dimecli.testing import check_plugin

SOURCE = '''
from dimecli.errors import UserError
from dimecli.plugin import Outcome, Problem

calls = []


class Good(Problem):
    """Long sentences are good."""

    cheap = True

    @property
    def worst(self):
        return 0.0

    def evaluate(self, sentences, language):
        return [self.value(text) if text.isprintable() else Outcome(None, "odd") for text in sentences]

    def value(self, sentence):
        return float(len(sentence))


class Fragile(Good):
    """Raises for what is odd, one sentence at a time."""

    cheap = False

    def evaluate(self, sentences, language):
        (sentence,) = sentences
        if not sentence.isprintable():
            raise ValueError(sentence)
        return [len(sentence)]


class Raising(Good):
    """Raises for what is odd, and with it for all others."""

    def evaluate(self, sentences, language):
        return [1 / sentence.isprintable() for sentence in sentences]


class Short(Good):
    """Forgets the last sentence."""

    def evaluate(self, sentences, language):
        return super().evaluate(sentences, language)[1:]


class Words(Good):
    """Answers in words."""

    def value(self, sentence):
        return "long"


class Silent(Good):
    """Does not say why."""

    def evaluate(self, sentences, language):
        return [Outcome(None, "") for sentence in sentences]


class Hopeless(Good):
    """Likes nothing."""

    def evaluate(self, sentences, language):
        return [float("nan") for sentence in sentences]


class Moody(Good):
    """Counts its calls."""

    def value(self, sentence):
        calls.append(sentence)
        return float(len(calls))


class Turned(Good):
    """Minimises, and says that 0 is the worst."""

    direction = "min"


class Modest(Good):
    """There is better than its best."""

    @property
    def optimum(self):
        return 1.0


class Sideways(Good):
    """Has no direction."""

    direction = "up"


class Needy(Good):
    """Needs what is not here."""

    def check(self, language):
        raise UserError("buy a better one")
'''

BROKEN = {
    "Raising": "one of 54 sentences raises ZeroDivisionError('division by zero'), which loses them all",
    "Short": "Short: 53 outcomes for 54 sentences; return one for each",
    "Words": "Words: a sentence is worth 'long'; return floats and Outcomes",
    "Silent": "Silent: an outcome without a value has no reason",
    "Hopeless": "Hopeless: 50 sentences of Boolean are all invalid; refuse the grammar in check()",
    "Moody": "Moody: in another order, or from a copy, sentences have other values",
    "Turned": "Turned: a sentence is worth 20000, the worst value there is 0.0; correct `worst`, or `direction`",
    "Modest": "Modest: a sentence is worth 20000, the best value there is 1.0; correct `optimum`, or `direction`",
    "Sideways": "Sideways: direction is 'up'; say 'min' or 'max'",
}


@pytest.fixture(autouse=True)
def cases(install: Callable[..., None]) -> None:
    lines = [f"{name} = problem_cases:{name}" for name in ("Good", "Fragile", "Needy", *BROKEN)]
    install("dime-problem-cases", "1.0", {"dimecli.problems": "\n".join(lines)}, problem_cases=SOURCE)


@pytest.mark.parametrize("name", ["Good", "Fragile"])
def test_a_good_problem_passes(name: str) -> None:
    assert check_plugin("problem", name) is None


def test_a_problem_that_lacks_something_says_so() -> None:
    assert str(check_plugin("problem", "Needy")).endswith("(problem_cases:Needy): buy a better one")


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_problem_is_told_what_is_wrong(name: str) -> None:
    with pytest.raises(AssertionError) as caught:
        check_plugin("problem", name)
    assert BROKEN[name] in str(caught.value)
