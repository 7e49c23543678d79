"""The space of a real run."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from dimecli.api import Run, train
from dimecli.data.sentences import Characters, Sentences
from dimecli.errors import UserError
from dimecli.grammar import Grammar
from dimecli.registry import make
from dimecli.search.space import RunSpace

TINY = {"grammar-transformer": {"width": 16}, "character": {}}


def trained(runs: Path, objective: str, network: str) -> Run:
    data = make("dataset", "sentences", grammar="expressions", max_length=8, size=120)
    net = make("network", network, **TINY[network])
    return train(make("objective", objective, latent_size=4), data, net, runs=runs, max_steps=20, batch_size=20)


@pytest.fixture(scope="module")
def spaces(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Run, RunSpace]]:
    runs = tmp_path_factory.mktemp("runs")
    made = {"sphere": trained(runs, "dime", "grammar-transformer"), "euclidean": trained(runs, "vae", "character")}
    return {name: (run, RunSpace(run, make("density", "gaussian"), max_batch=7)) for name, run in made.items()}


@pytest.mark.parametrize("name", ["sphere", "euclidean"])
def test_codes_are_those_of_the_encoder(spaces: dict[str, tuple[Run, RunSpace]], name: str) -> None:
    run, space = spaces[name]
    assert space.latent_space == name
    assert len(space.sentences) == len(space.codes) == len(run.samples("train"))
    codes = space.encode(space.sentences)
    assert codes.dtype == space.codes.dtype == torch.float64
    torch.testing.assert_close(codes, space.codes, atol=1e-5, rtol=0)
    torch.testing.assert_close(space.codes.float(), run.codes("train"))
    assert space.encode([]).shape == (0, 4)


@pytest.mark.parametrize("name", ["sphere", "euclidean"])
def test_sentences_are_those_of_the_decoder(spaces: dict[str, tuple[Run, RunSpace]], name: str) -> None:
    run, space = spaces[name]
    codes = torch.cat([space.codes[:20], space.sample(30, torch.Generator().manual_seed(0))])
    sentences = space.decode(codes)
    likelihood = run.model.spec.likelihood
    assert isinstance(likelihood, Sentences)
    whole = likelihood.text(run.decode(codes.float()))
    _, wrong = space.grammar.parse_all([text or "" for text in whole])
    assert sentences == [None if row in wrong else text for row, text in enumerate(whole)]
    assert sentences == [text for code in codes for text in space.decode(code[None])]
    assert name == "euclidean" or None not in sentences
    assert space.decode(codes[:0]) == []


def test_characters_that_are_no_sentence(
    spaces: dict[str, tuple[Run, RunSpace]], monkeypatch: pytest.MonkeyPatch
) -> None:
    run, space = spaces["euclidean"]
    likelihood = run.model.spec.likelihood
    assert isinstance(likelihood, Characters)
    x = likelihood.encode(["x+1", "x+", "", "sin(x)"])
    monkeypatch.setattr(run, "decode", lambda z: x[: len(z)])
    assert space.decode(torch.zeros(4, 4)) == ["x+1", None, None, "sin(x)"]


def test_samples_lie_where_codes_do(spaces: dict[str, tuple[Run, RunSpace]]) -> None:
    drawn = {name: space.sample(200, torch.Generator().manual_seed(1)) for name, (_, space) in spaces.items()}
    torch.testing.assert_close(drawn["sphere"].norm(dim=1), torch.ones(200, dtype=torch.float64), atol=1e-12, rtol=0)
    assert drawn["euclidean"].norm(dim=1).std() > 1e-3
    run, _ = spaces["sphere"]
    expected = run.fit("gaussian").sample(200, torch.Generator().manual_seed(1)).double()
    torch.testing.assert_close(drawn["sphere"], expected / expected.norm(dim=1, keepdim=True))


def test_what_is_no_sentence_is_not_encoded(spaces: dict[str, tuple[Run, RunSpace]]) -> None:
    with pytest.raises(UserError, match=r"'x\+' is no sentence of the run's grammar"):
        spaces["sphere"][1].encode(["x", "x+"])


def test_the_language_of_a_run(spaces: dict[str, tuple[Run, RunSpace]]) -> None:
    run, space = spaces["sphere"]
    assert run.language is not None
    assert isinstance(space.grammar, Grammar)
    assert space.language.compile().fingerprint == space.grammar.fingerprint


def test_a_run_of_other_data_is_not_searched(tmp_path: Path) -> None:
    run = train("ae", "digits", make("network", "mlp", widths=(8,)), runs=tmp_path, max_steps=2)
    assert run.language is None
    with pytest.raises(UserError, match=r"is of images; only sentences are searched for"):
        RunSpace(run, make("density", "gaussian"))
