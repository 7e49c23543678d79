"""The contract of problems: what keeps it passes, and each breach is told by the promise that it breaks."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dimecli.registry import find
from dimecli.testing import check_plugin, findings_of

SOURCE = '''
from dimecli.errors import UserError
from dimecli.lazy import np, torch
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


class Scalars(Good):
    """Numbers as numpy and torch have them."""

    def evaluate(self, sentences, language):
        kinds = [np.float32, np.int64, torch.tensor]
        return [kinds[len(text) % 3](len(text)) if text.isprintable() else Outcome(None, "odd") for text in sentences]


class Yes(Good):
    """Answers yes or no."""

    def value(self, sentence):
        return len(sentence) > 3


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


class Crowded(Good):
    """Ranks sentences among those that come with them."""

    def evaluate(self, sentences, language):
        return [float(sorted(sentences).index(text)) for text in sentences]


class Lonely(Good):
    """A sentence alone is worth nothing."""

    def evaluate(self, sentences, language):
        return super().evaluate(sentences, language) if len(sentences) > 1 else [0.0]


class Nameless(Good):
    """Does not say what its values are."""

    value_name = ""
'''

IMPORTS = "it imports, and is a plugin of its kind with options that can be given"
SAYS = "it says which values are better, and what they are"
FINITE = "sentences have finite values, or reasons why there is none"
SURVIVES = "it survives what is no sentence"
ORDER = "in another order, and from a copy, a sentence has the same value"
ALONE = "a sentence alone is worth what it is among others"
BOUNDS = "no value is beyond the worst and the best that it declares"
BROKEN = {
    "Raising": (
        [SURVIVES],
        "one of 54 sentences raises ZeroDivisionError('division by zero'), which loses them all",
    ),
    "Short": ([FINITE], "49 outcomes for 50 sentences; return one for each"),
    "Yes": ([FINITE], "; return floats and Outcomes"),
    "Words": ([FINITE], "a sentence is worth 'long'; return floats and Outcomes"),
    "Silent": ([FINITE], "an outcome without a value has no reason"),
    "Hopeless": (
        ["some sentences are valid"],
        "50 sentences of Boolean are all invalid; mend that, or refuse the grammar in check()",
    ),
    "Moody": ([ORDER, ALONE], "it has another; keep nothing, and put all that counts into options"),
    "Crowded": ([ALONE], "it is worth something else; evaluate each by itself"),
    "Lonely": ([ALONE], "it is worth something else; evaluate each by itself"),
    "Turned": ([BOUNDS], "a sentence is worth 20000, the worst value there is 0.0; correct `worst`, or `direction`"),
    "Modest": ([BOUNDS], "a sentence is worth 20000, the best value there is 1.0; correct `optimum`, or `direction`"),
    "Sideways": ([IMPORTS], "direction is 'up'; allowed: 'min', 'max'"),
    "Nameless": ([SAYS], "value_name is empty; name the value, for tables and plots"),
}


@pytest.fixture(autouse=True)
def cases(install: Callable[..., None]) -> None:
    lines = [f"{name} = problem_cases:{name}" for name in ("Good", "Fragile", "Scalars", "Needy", *BROKEN)]
    install("dime-problem-cases", "1.0", {"dimecli.problems": "\n".join(lines)}, problem_cases=SOURCE)


@pytest.mark.parametrize("name", ["Good", "Fragile", "Scalars"])
def test_a_good_problem_keeps_every_promise(name: str) -> None:
    assert all(finding.held for finding in findings_of(find("problem", name)))


def test_a_problem_that_lacks_something_says_so() -> None:
    assert str(check_plugin("problem", "Needy")).endswith("it accepts a grammar that is installed: buy a better one")


@pytest.mark.parametrize("name", BROKEN)
def test_a_breach_is_told_by_its_promise(name: str) -> None:
    promises, reason = BROKEN[name]
    found = {finding.promise: finding.reason for finding in findings_of(find("problem", name)) if not finding.held}
    assert set(found) <= set(promises)
    assert reason in found[promises[0]]
