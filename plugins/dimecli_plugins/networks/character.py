"""The network over the characters of a sentence."""

from __future__ import annotations

from dimecli.data.samples import Samples
from dimecli.data.sentences import Characters, Productions
from dimecli.lazy import torch
from dimecli_plugins.networks.grammar_conv_gru import GrammarConvGru


class Character(GrammarConvGru):
    """GrammarVAE's layout over the characters of a sentence in place of its productions: CharacterVAE.

    Nothing keeps what it decodes within the grammar (Gómez-Bombarelli et al., 2018).
    """

    def prepare(self, samples: Samples) -> Samples:
        """The sentences that productions derive, as characters; other samples as they are."""
        likelihood = samples.spec.likelihood
        if not isinstance(likelihood, Productions):
            return samples
        characters = Characters(grammar=likelihood.grammar)
        assert isinstance(samples.x, torch.Tensor)
        x = characters.encode([str(text) for text in likelihood.text(samples.x)])
        return Samples(
            samples.spec.model_copy(update={"shape": tuple(x.shape[1:]), "likelihood": characters}), x, samples.y
        )
