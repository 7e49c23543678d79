"""What searches promise to do."""

from __future__ import annotations

import math
from dataclasses import replace
from statistics import fmean
from typing import TYPE_CHECKING

from dimecli.errors import UserError
from dimecli.lazy import np, torch
from dimecli.plugin import Candidates, History, Search
from dimecli.testing.contract import Contract
from dimecli.testing.expect import check_tensor, expect, only_own_randomness
from dimecli.testing.words import Words, grown, seeded, start

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ASKED, _ROUNDS, _SEEDS = 10, 3, 2
_PATIENCE = 15  # rounds in which a search without a model gets better too
_FAR = 10
"""How many times as long as the longest code of training a code may be."""


def check_search(contract: Contract, search: Search) -> None:
    """Asks for candidates among words whose worth is known, and lets the search go on for a few rounds."""
    for latent_space in sorted(search.latent_spaces):
        with contract.section(f"on a {latent_space} latent space"):
            space = Words(latent_space)
            _check_ask(contract, search, space)
            _check_ends(contract, search, space)
            _check_progress(contract, search, space)


def _check_ask(contract: Contract, search: Search, space: Words) -> None:
    space_codes, history = space.codes.clone(), start(space, 0)
    before = {name: getattr(history, name).clone() for name in ("codes", "values", "valid", "rounds")}
    words = list(history.sentences)
    with contract.needed("it gives candidates"), only_own_randomness():
        asked = search.ask(_ASKED, history, space, seeded(0))
        wrong = f"ask gives {type(asked).__name__}"
        expect(isinstance(asked, Candidates), wrong, "return Candidates(sentences, codes)")
    with contract.promise("it leaves what it is given as it was"):
        same = list(history.sentences) == words and torch.equal(space.codes, space_codes)
        same &= all(torch.equal(getattr(history, name), tensor) for name, tensor in before.items())
        expect(same, "ask changes the history or the codes", "clone tensors before you write to them")
    with contract.promise("the same generator and history give the same candidates"):
        again = search.ask(_ASKED, history, space, seeded(0))
        same = list(asked.sentences) == list(again.sentences)
        expect(same, "they give others", "draw from `rng` only, and keep nothing between calls")
    with contract.needed("what it proposes are sentences of the grammar, with what it expects of them"):
        _check_sentences(asked, space)
    with contract.needed("codes are those that the sentences were decoded from, and stay in the latent space"):
        _check_codes(asked, space)
    with contract.needed("as many candidates are new as it is asked for"):
        _check_new(asked, history, _ASKED)


def _check_sentences(asked: Candidates, space: Words) -> None:
    m = len(asked.sentences)
    for name, expected in (("mean", asked.mean), ("std", asked.std)):
        if expected is not None:
            check_tensor(expected, (m,), f"the {name} of {m} candidates")
    strangers = sorted({text for text in asked.sentences if text is not None} - set(space.words))
    expect(not strangers, f"{strangers[:3]} are no sentences", "propose sentences of space.grammar")


def _check_codes(asked: Candidates, space: Words) -> None:
    """Codes on the sphere, or not absurdly far beyond those of training, which are all that the decoder knows."""
    if asked.codes is None:
        return
    m = len(asked.sentences)
    check_tensor(asked.codes, (m, space.codes.shape[1]), f"the codes of {m} candidates")
    lengths = torch.linalg.vector_norm(asked.codes.double(), dim=1)
    if space.latent_space == "sphere":
        on_sphere = torch.allclose(lengths, torch.ones_like(lengths), atol=1e-6)
        expect(on_sphere, "codes leave the unit sphere", "divide them by their length")
    elif m:
        most = _FAR * torch.linalg.vector_norm(space.codes, dim=1).max().item()
        farthest = lengths.max().item()
        wrong = f"a code has length {farthest:.3g}, {_FAR} times the longest of space.codes is {most:.3g}"
        expect(farthest <= most, wrong, "stay near those: the decoder knows nothing else")
    agree = space.decode(asked.codes) == list(asked.sentences)
    expect(agree, "codes decode to other sentences", "give the code that each sentence was decoded from")


def _check_new(asked: Candidates, history: History, wanted: int) -> None:
    new = set(asked.sentences) - history.seen - {None}
    cure = "pass over those in history.seen, and go on until there are enough"
    expect(len(new) >= wanted, f"{len(new)} new sentences of {wanted} asked for", cure)


def _check_candidates(asked: Candidates, history: History, space: Words, wanted: int) -> None:
    _check_sentences(asked, space)
    _check_codes(asked, space)
    _check_new(asked, history, wanted)


def _check_ends(contract: Contract, search: Search, space: Words) -> None:
    """It does without a history, or says that it cannot; and it ends where nothing new is left."""
    history = start(space, 0)
    nothing = {name: getattr(history, name)[:0] for name in ("codes", "values", "valid", "rounds")}
    empty = replace(history, sentences=[], seen=frozenset(), **nothing)
    full = replace(history, seen=frozenset(space.words))
    with contract.promise("without a history it gives candidates too, or a UserError says what is missing"):
        try:
            asked = search.ask(3, empty, space, seeded(1))
        except UserError:
            pass  # such as a flag that is to be given
        else:
            _check_candidates(asked, empty, space, 3)
    with contract.promise("with nothing left to find it ends"):
        try:
            asked = search.ask(3, full, space, seeded(1))
        except UserError as error:
            raise AssertionError(f"it refuses: {error}; give no candidates") from error
        _check_candidates(asked, full, space, 0)


def _check_progress(contract: Contract, search: Search, space: Words) -> None:
    """Searches for the top of a negated sum of squares, the sphere function, beside draws at random."""
    histories, worth = [start(space, seed) for seed in range(_SEEDS)], space.worth(space.words)
    with contract.needed("it goes on, round after round"):
        for number in range(1, _ROUNDS + 1):
            _go_on(search, space, histories, number)
    if search.learns:
        with contract.promise("what it proposes becomes better than words at random"):
            _check_learning(search, space, histories)
    else:
        with contract.promise("the best that it finds is not worse than the best of as many words at random"):
            chance = _by_chance(worth, _ROUNDS * _ASKED)
            best = fmean(history.values[history.rounds > 0].max().item() for history in histories)
            least = chance.mean() - 3 * chance.std() / math.sqrt(_SEEDS)
            wrong = f"in {_ROUNDS} rounds its best is {best:.3g}, draws at random give {chance.mean():.3g}"
            expect(best >= least, wrong, "let it look anywhere in the space")


def _check_learning(search: Search, space: Words, histories: list[History]) -> None:
    """It has several rounds more, where it is slow: one without a model is."""
    worth = space.worth(space.words)
    mean, number = worth.mean().item(), _ROUNDS
    wanted = mean + 4 * worth.std().item() / math.sqrt(_SEEDS * _ROUNDS * _ASKED)
    while (last := _newest(histories)) < wanted and number < _PATIENCE:
        number += 1
        _go_on(search, space, histories, number)
    wrong = f"up to round {number} their mean is {last:.3g}, that of words at random {mean:.3g}"
    cure = "mind that larger values are better, let them decide where to look, or say `learns = False` of a baseline"
    expect(last >= wanted, wrong, cure)


def _go_on(search: Search, space: Words, histories: list[History], number: int) -> None:
    """One more round of each search."""
    for seed, history in enumerate(histories):
        asked = search.ask(_ASKED, history, space, seeded(100 * seed + number))
        _check_candidates(asked, history, space, _ASKED)
        histories[seed] = grown(history, asked, space, number, _ASKED)


def _newest(histories: list[History]) -> float:
    """The mean worth of the words of the last rounds."""
    return fmean(history.values[-_ROUNDS * _ASKED :].mean().item() for history in histories)


def _by_chance(worth: torch.Tensor, draws: int) -> NDArray[np.float64]:
    """The best of that many words without a search, 300 times."""
    rng, values = np.random.default_rng(0), worth.numpy()
    return np.array([values[rng.choice(len(values), draws, replace=False)].max() for _ in range(300)])
