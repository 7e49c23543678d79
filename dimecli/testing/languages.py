"""What grammars promise to do."""

from __future__ import annotations

from itertools import islice

from dimecli.lazy import np, torch
from dimecli.plugin import Language
from dimecli.registry import names
from dimecli.testing.expect import expect, seeded

_CHECKED = 200
"""Sentences to try."""


def check_language(language: Language, where: str) -> None:
    """Decodes wild logits, unparses and parses sentences, and reads the plugin's own.

    Raises:
        AssertionError: something does not hold; the message says what, and the cure.
    """
    grammar = language.compile()
    wild = 40 * torch.randn(_CHECKED, grammar.max_len, grammar.pad + 1, generator=seeded())
    expect(grammar.decode(wild).complete.all(), f"{where}: wild logits leave derivations incomplete", "report this")
    ids = grammar.sample(_CHECKED, np.random.default_rng(1), "length")
    sentences = [str(text) for text in grammar.unparse_all(ids)]
    same = grammar.unparse_all(grammar.parse_all(sentences)[0]) == sentences
    expect(same, f"{where}: parsed and written again, its sentences are others", "report this")
    for source, published in sorted(language.sources.items()):
        own = list(islice(published(), _CHECKED))
        expect(own, f"{where}: source '{source}' has no sentences", "leave it out of `sources`")
        for row, reason in grammar.parse_all(own)[1].items():
            raise AssertionError(f"{where}: source '{source}', {own[row]!r}: {reason}; give sentences of the grammar")
    semantics = language.semantics()
    if semantics is not None:
        missing = sorted(set(grammar.terminals) - semantics.terminals)
        expect(not missing, f"{where}: semantics() does not say what {missing} mean", "give every terminal a role")
    if language.problem is not None:
        known = names("problem")
        expect(language.problem in known, f"{where}: there is no problem '{language.problem}'", "name an installed one")
