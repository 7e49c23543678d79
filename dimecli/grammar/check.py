"""What the author of a grammar wants to know and compiling it does not say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from numpy.typing import NDArray

from dimecli.grammar.ambiguity import find_ambiguity
from dimecli.grammar.grammar import Grammar
from dimecli.grammar.lengths import shortest_with
from dimecli.grammar.messages import brief
from dimecli.grammar.rules import quoted

_SHOWN = 3  # examples in a line


def check(grammar: Grammar) -> list[str]:
    """What needs mending in a grammar, one line each; nothing if all is well.

    Terminals that the longest match confuses; a sentence with two derivations, if one is found; and
    productions that are too far from the start to occur within `max_len`.
    """
    return [*_clashes(grammar), *_ambiguity(grammar), *_unused(grammar)]


def _clashes(grammar: Grammar) -> Iterator[str]:
    terminals = dict.fromkeys((grammar.base or grammar).terminals)
    longest = max(terminals, key=len, default="")
    tokens = grammar.parser.lexer.tokens
    if not tokens or any(token.startswith(longest) for token in tokens):  # else those are characters
        return
    pairs = [(long[:cut], long) for long in terminals for cut in range(1, len(long)) if long[:cut] in terminals]
    examples = ", ".join(f"{quoted(short)} begins {quoted(long)}" for short, long in pairs[:_SHOWN])
    cure = "" if grammar.rules.separator else "; %separator ' ' would part them"
    yield (
        f"terminals clash in the lexer: {examples}{', ...' * (len(pairs) > _SHOWN)}, and what follows can complete it. "
        f"Sentences are read character by character, which is slower{cure}"
    )


def _ambiguity(grammar: Grammar) -> Iterator[str]:
    found = find_ambiguity(grammar)
    if found:
        derivations = " and as ".join(_derivation(grammar.base or grammar, ids) for ids in (found.first, found.second))
        yield f"ambiguous: {found.sentence!r} is derived as {derivations}"


def _derivation(grammar: Grammar, ids: NDArray[Any]) -> str:
    return "[" + "; ".join(str(grammar.productions[number]) for number in ids[ids < grammar.pad]) + "]"


def _unused(grammar: Grammar) -> Iterator[str]:
    lengths = shortest_with(grammar)
    unused = [number for number, length in enumerate(lengths) if length > grammar.max_len]
    if unused:
        examples = [f"line {grammar.productions[p].line}: {brief(grammar.productions[p])}" for p in unused[:_SHOWN]]
        yield (
            f"{len(unused)} of {grammar.pad} productions ({len(unused) / grammar.pad:.0%}) occur in no sentence of at "
            f"most {grammar.max_len} productions, {max(lengths)} would do: {'; '.join(examples)}"
        )
