"""What grammars promise to do."""

from __future__ import annotations

from itertools import islice

from dimecli.lazy import np, torch
from dimecli.plugin import Language
from dimecli.registry import names
from dimecli.testing.contract import Contract
from dimecli.testing.expect import expect, seeded

_CHECKED = 200
"""Sentences to try."""


def check_language(contract: Contract, language: Language) -> None:
    """Decodes wild logits, unparses and parses sentences, and reads the plugin's own."""
    with contract.needed("it compiles, and has sentences of its greatest length or less"):
        grammar = language.compile()
    with contract.promise("two compilations give the same productions"):
        text = language.text()
        again = type(language)(**language.options()).compile()
        same = language.text() == text and again.fingerprint == grammar.fingerprint
        expect(same, "they differ", "let text() depend on the options alone")
    with contract.promise("every derivation is completed, whatever the logits"):
        wild = 40 * torch.randn(_CHECKED, grammar.max_len, grammar.pad + 1, generator=seeded())
        expect(grammar.decode(wild).complete.all(), "wild logits leave derivations incomplete", "report this")
    with contract.promise("its sentences, parsed and written again, are the same"):
        ids = grammar.sample(_CHECKED, np.random.default_rng(1), "length")
        sentences = [str(text) for text in grammar.unparse_all(ids)]
        same = grammar.unparse_all(grammar.parse_all(sentences)[0]) == sentences
        expect(same, "they are others", "report this")
    for source, published in sorted(language.sources.items()):
        with contract.promise(f"source '{source}' gives sentences of the grammar"):
            own = list(islice(published(), _CHECKED))
            expect(own, "it has no sentences", "leave it out of `sources`")
            for row, reason in grammar.parse_all(own)[1].items():
                raise AssertionError(f"{own[row]!r}: {reason}; give sentences of the grammar")
    with contract.promise("semantics(), where there are any, say what every terminal means"):
        semantics = language.semantics()
        missing = sorted(set(grammar.terminals) - semantics.terminals) if semantics is not None else []
        expect(not missing, f"they do not say what {missing} mean", "give every terminal a role")
    if (problem := language.problem) is not None:
        with contract.promise("the problem that it is published with is installed"):
            expect(problem in names("problem"), f"there is no problem '{problem}'", "name an installed one")
