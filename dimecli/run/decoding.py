"""From codes to data: the likelihood's estimate, a draw, or what most of several draws agree on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field, field_validator

from dimecli.data.sentences import Productions, Sentences
from dimecli.data.spec import Spec
from dimecli.errors import UserError
from dimecli.lazy import torch
from dimecli.settings import Settings

if TYPE_CHECKING:
    from dimecli.model import Autoencoder

MOST_VOTES = 1000


class Decoding(Settings):
    """What a code becomes.

    `auto` is `argmax`, and `sample` for images of an autoregressive decoder: pixels of which each is the most
    probable after those before it make no probable image, often an empty one.
    `argmax` is the likelihood's estimate: the mean of an image, the most probable symbol at every step of
    a sentence. `sample` is a draw. `vote:K` is the sentence that occurs most often among K draws, complete
    ones only (GrammarVAE's protocol, with K = 25); of those that occur as often, the first drawn.
    """

    decode: str = Field(
        "auto",
        description="What a code becomes: the most probable (argmax), a draw (sample), the sentence that most of K "
        "draws are (vote:K; the papers have K = 25), or argmax except for images that are made pixel after pixel "
        "(auto).",
    )
    reserve: bool = Field(
        True, description="Let every derivation end within the maximum length; the papers let it break off there."
    )

    @field_validator("decode")
    @classmethod
    def _is_a_way_to_decode(cls, value: str) -> str:
        word, _, number = value.partition(":")
        votes = word == "vote" and number.isdecimal() and 0 < int(number) <= MOST_VOTES
        if not votes and value not in ("auto", "argmax", "sample"):
            raise ValueError(f"should be auto, argmax, sample or vote:K with K from 1 to {MOST_VOTES}")
        return value

    @property
    def draws(self) -> int:
        """The draws that it takes: none for `argmax` (and `auto` as such), one for `sample`, K for `vote:K`."""
        word, _, number = self.decode.partition(":")
        return int(number) if word == "vote" else int(word == "sample")

    def of(self, model: Autoencoder) -> Decoding:
        """The same, with what `auto` is for this model."""
        from dimecli.model import Autoregressive

        if self.decode != "auto":
            return self
        pixel_by_pixel = model.spec.modality == "image" and isinstance(model.decoder, Autoregressive)
        return Decoding(decode="sample" if pixel_by_pixel else "argmax", reserve=self.reserve)

    def check(self, spec: Spec) -> None:
        """Raise a UserError if data of this kind cannot be decoded so."""
        likelihood = spec.likelihood
        if self.draws > 1 and not isinstance(likelihood, Sentences):
            raise UserError(f"--decode {self.decode}: no two draws of {spec.modality}s agree; allowed: argmax, sample")
        if not self.reserve and not isinstance(likelihood, Productions):
            raise UserError(f"--no-reserve: it is for derivations of a grammar; this run decodes {likelihood.name}")

    def __call__(self, model: Autoencoder, z: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        """`(B, *shape)` data decoded from `(B, l)` codes."""
        draws = self.of(model).draws
        if not draws:
            return model.generate(z, reserve=self.reserve)
        drawn = torch.stack([model.generate(z, rng, self.reserve) for _ in range(draws)])  # (K, B, *shape)
        likelihood = model.spec.likelihood
        if not isinstance(likelihood, Sentences):
            return drawn[0]
        from dimecli.grammar.decode import majority

        winners = majority(drawn, torch.stack([likelihood.complete(sentences) for sentences in drawn]))
        return drawn[winners, torch.arange(len(z), device=drawn.device)]


AUTO = Decoding()
"""How codes are decoded where nothing else is asked for."""


def drawn(model: Autoencoder) -> str:
    """What a title has to add where `AUTO` draws: that what is shown is one of many."""
    return ", drawn pixel by pixel" if AUTO.of(model).draws else ""
