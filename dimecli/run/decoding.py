"""From codes to data: the likelihood's estimate, a draw, or what most of several draws agree on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dimecli.data.likelihood import Likelihood
from dimecli.data.sentences import Productions, Sentences
from dimecli.data.spec import Spec
from dimecli.errors import UserError
from dimecli.lazy import torch

if TYPE_CHECKING:
    from dimecli.model import Autoencoder

MOST_VOTES = 1000


def draws(decode: str) -> int:
    """The draws that a way to decode needs: none for `argmax`, one for `sample`, K for `vote:K`.

    Raises:
        ValueError: it is none of them.
    """
    word, _, number = decode.partition(":")
    if word == "vote" and number.isdecimal() and 0 < int(number) <= MOST_VOTES:
        return int(number)
    if decode not in ("argmax", "sample"):
        raise ValueError(f"should be argmax, sample or vote:K with K from 1 to {MOST_VOTES}")
    return int(decode == "sample")


def likelihood_for(spec: Spec, decode: str, reserve: bool) -> Likelihood:
    """The likelihood of the data, set to decode as asked.

    Raises:
        UserError: there is no such way to decode, or not for data of this kind.
    """
    likelihood = spec.likelihood
    try:
        number = draws(decode)
    except ValueError as error:
        raise UserError(f"--decode {decode}: {error}") from error
    if number > 1 and not isinstance(likelihood, Sentences):
        raise UserError(f"--decode {decode}: no two draws of {spec.modality}s agree; allowed: argmax, sample")
    if reserve:
        return likelihood
    if not isinstance(likelihood, Productions):
        raise UserError(f"--no-reserve: it is for derivations of a grammar; this run decodes {likelihood.name}")
    return likelihood.model_copy(update={"reserve": False})


def decode_codes(
    model: Autoencoder, z: torch.Tensor, likelihood: Likelihood, decode: str, rng: torch.Generator
) -> torch.Tensor:
    """`(B, *shape)` data decoded from `(B, l)` codes.

    `argmax` is the likelihood's estimate: the mean of an image, the most probable symbol at every step of
    a sentence. `sample` is a draw. `vote:K` is the sentence that occurs most often among K draws, complete
    ones only (GrammarVAE's protocol, with K = 25); of those that occur as often, the first drawn.
    """
    number = draws(decode)
    if number == 0:
        return model.generate(z, likelihood=likelihood)
    drawn = torch.stack([model.generate(z, rng, likelihood) for _ in range(number)])  # (K, B, *shape)
    if not isinstance(likelihood, Sentences):
        return drawn[0]
    from dimecli.grammar.decode import majority

    winners = majority(drawn, torch.stack([likelihood.complete(sentences) for sentences in drawn]))
    return drawn[winners, torch.arange(len(z), device=drawn.device)]
