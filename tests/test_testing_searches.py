"""`check_plugin` passes searches that keep the contract, and names what broken ones break."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dimecli.testing import check_plugin

SOURCE = '''
from dimecli.errors import UserError
from dimecli.lazy import np, torch
from dimecli.plugin import Candidates, History, Search


class Good(Search):
    """Codes near the best one so far, and some at random."""

    def ask(self, n, history, space, rng):
        codes = space.sample(20 * n, rng)
        if len(history.codes):
            best = history.codes[history.values.argmax()]
            codes = codes[(codes - best).square().sum(1).argsort()]
        return self.given(n, history, space, codes, space.decode(codes))

    def given(self, n, history, space, codes, sentences):
        places = {text: row for row, text in enumerate(sentences) if text not in history.seen}
        rows = list(places.values())[:n]
        return Candidates([sentences[row] for row in rows], codes[rows])


class Needy(Good):
    """Wants a history."""

    def ask(self, n, history, space, rng):
        if not len(history.codes):
            raise UserError("--initial 0: it needs something to start from")
        return super().ask(n, history, space, rng)


class Flat(Good):
    """Knows no sphere."""

    latent_spaces = frozenset({"euclidean"})

    def ask(self, n, history, space, rng):
        assert space.latent_space == "euclidean"
        return super().ask(n, history, space, rng)


class Few(Good):
    """Gives half."""

    def given(self, n, history, space, codes, sentences):
        return super().given(n // 2, history, space, codes, sentences)


class Stubborn(Good):
    """Proposes what is known."""

    def given(self, n, history, space, codes, sentences):
        known = list(history.sentences)[:n]
        return Candidates(known, space.encode(known))


class Repeating(Good):
    """Proposes one sentence many times."""

    def given(self, n, history, space, codes, sentences):
        one = super().given(1, history, space, codes, sentences)
        return Candidates(list(one.sentences) * n, one.codes.repeat(n, 1))


class Off(Good):
    """Leaves the sphere."""

    def given(self, n, history, space, codes, sentences):
        right = super().given(n, history, space, codes, sentences)
        return Candidates(right.sentences, right.codes * (1.1 if space.latent_space == "sphere" else 1))


class Other(Good):
    """Says other sentences than its codes."""

    def given(self, n, history, space, codes, sentences):
        right = super().given(n, history, space, codes, sentences)
        return Candidates(right.sentences, right.codes.flip(0))


class Infinite(Good):
    """Divides by zero."""

    def given(self, n, history, space, codes, sentences):
        right = super().given(n, history, space, codes, sentences)
        return Candidates(right.sentences, right.codes / 0)


class Lost(Good):
    """Forgets some codes."""

    def given(self, n, history, space, codes, sentences):
        right = super().given(n, history, space, codes, sentences)
        return Candidates(right.sentences, right.codes[1:])


class Vague(Good):
    """Expects NaN."""

    def given(self, n, history, space, codes, sentences):
        right = super().given(n, history, space, codes, sentences)
        return Candidates(right.sentences, right.codes, torch.full((len(right.sentences),), torch.nan))


class Babbling(Good):
    """Proposes no sentences."""

    def given(self, n, history, space, codes, sentences):
        return Candidates(["!" * (k + 1) for k in range(n)])


class Unseeded(Good):
    """Draws from numpy's global generator."""

    def ask(self, n, history, space, rng):
        return super().ask(n, history, space, torch.Generator().manual_seed(np.random.randint(2**31)))


class GlobalNoise(Good):
    """Draws from torch's global generator."""

    def ask(self, n, history, space, rng):
        torch.rand(())
        return super().ask(n, history, space, rng)


class Scribbling(Good):
    """Standardises the values in place."""

    def ask(self, n, history, space, rng):
        history.values.sub_(history.values.mean())
        return super().ask(n, history, space, rng)


class Downhill(Good):
    """Minimises."""

    def ask(self, n, history, space, rng):
        worst = history.codes[history.values.argmin()] if len(history.codes) else torch.zeros(1)
        codes = space.sample(20 * n, rng)
        codes = codes[(codes - worst).square().sum(1).argsort()]
        return self.given(n, history, space, codes, space.decode(codes))


class Unprepared(Good):
    """Fails without a history, and does not say why."""

    def ask(self, n, history, space, rng):
        history.values.max()
        return super().ask(n, history, space, rng)


class Refusing(Good):
    """Does not work as it is."""

    def ask(self, n, history, space, rng):
        raise UserError("--power is missing")
'''

GOOD = ("Good", "Needy", "Flat")
BROKEN = {
    "Few": "5 new sentences of 10 asked for",
    "Stubborn": "0 new sentences of 10 asked for",
    "Repeating": "1 new sentences of 10 asked for",
    "Off": "Off on a sphere latent space: codes leave the unit sphere",
    "Other": "codes decode to other sentences",
    "Infinite": "the codes of 10 candidates has NaN or infinite values",
    "Lost": "the codes of 10 candidates is (9, 3); return (10, 3)",
    "Vague": "the mean of 10 candidates has NaN or infinite values",
    "Babbling": "['!', '!!', '!!!'] are no sentences",
    "Unseeded": "the same generator and history give other candidates",
    "GlobalNoise": "ask draws from torch's global generator",
    "Scribbling": "ask changes what it is given",
    "Downhill": "mind that larger values are better",
    "Unprepared": "without a history: ask raises",
    "Refusing": "its defaults do not work: --power is missing",
}


@pytest.fixture(autouse=True)
def cases(install: Callable[..., None]) -> None:
    lines = "\n".join(f"{name} = cases:{name}" for name in (*GOOD, *BROKEN))
    install("dime-cases", "1.0", {"dimecli.searches": lines}, cases=SOURCE)


@pytest.mark.parametrize("name", GOOD)
def test_a_good_search_passes(name: str) -> None:
    assert check_plugin("search", name) is None


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_search_is_told_what_is_wrong(name: str) -> None:
    with pytest.raises(AssertionError) as caught:
        check_plugin("search", name)
    assert BROKEN[name] in str(caught.value)
