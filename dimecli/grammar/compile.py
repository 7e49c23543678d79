"""From what a file says to a grammar in force."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import replace
from graphlib import CycleError, TopologicalSorter

import numpy as np

from dimecli.errors import UserError
from dimecli.grammar.grammar import Grammar
from dimecli.grammar.lengths import ENOUGH, NEVER, default_max_len, shortest
from dimecli.grammar.messages import brief, mistake
from dimecli.grammar.rules import Nonterminal, Production, Rules
from dimecli.grammar.text import MAX_LENGTH

_SHOWN = 8  # nonterminals of a cycle


def compile_rules(rules: Rules, max_len: int | None = None) -> Grammar:
    """The grammar of some rules: checked, without those that no sentence uses, with its constraints.

    Duplicate rules are merged (their weights add), unproductive and unreachable ones are dropped, each
    with a note. Without a maximum length `default_max_len` chooses one, also with a note.

    Args:
        rules: What a file says.
        max_len: Productions in the longest derivation, instead of what the rules say.

    Raises:
        UserError: a nonterminal without rules, a cycle of unit rules, no sentence at all or none of at
            most `max_len` productions; names and line are in the message.
    """
    _refuse_undefined(rules)
    productions, notes = _merged(rules)
    productions, dropped = _useful(rules, productions)
    notes = [*rules.notes, *notes, *dropped, *_mixed_weights(productions)]
    grammar = _tables(rules, productions)
    _refuse_cycles(grammar)
    max_len, why = _max_len(grammar, rules.max_len if max_len is None else max_len)
    grammar = replace(grammar, max_len=max_len, notes=(*notes, *why))
    if not rules.constraints:
        return grammar
    from dimecli.grammar.constraints import constrain

    return constrain(grammar)


def _tables(rules: Rules, productions: Sequence[Production]) -> Grammar:
    """Productions as an unchecked grammar: the start is nonterminal 0, the others follow in file order."""
    names = dict.fromkeys([rules.start.name, *(production.lhs.name for production in productions)])
    return Grammar(rules, tuple(productions), tuple(names), MAX_LENGTH, np.arange(len(productions)))


def _refuse_undefined(rules: Rules) -> None:
    defined = {production.lhs.name for production in rules.productions}
    if rules.start.name not in defined:
        raise UserError(f"{rules.source}: no rule for the start symbol {_named(rules.start, defined)}")
    for production in rules.productions:
        for symbol in production.rhs:
            if isinstance(symbol, Nonterminal) and symbol.name not in defined:
                problem = f"no rule for {_named(symbol, defined)} It is used in {brief(production)}"
                raise mistake(rules.source, production.line, problem)


def _named(missing: Nonterminal, defined: set[str]) -> str:
    """A name, and the nearest that has rules."""
    nearest = difflib.get_close_matches(missing.name[:60], defined, 1)
    return f"{brief(missing)}." + (f" Did you mean {nearest[0]}?" if nearest else "")


def _merged(rules: Rules) -> tuple[list[Production], list[str]]:
    """The productions without duplicates, and notes about those."""
    weighted = {production.lhs for production in rules.productions if production.weight is not None}
    kept: dict[tuple[object, ...], Production] = {}
    notes = []
    for production in rules.productions:
        key = (production.lhs, production.rhs)
        first = kept.setdefault(key, production)
        if first is production:
            continue
        notes.append(
            f"line {production.line}: {brief(production)} is dropped: it repeats line {first.line}; weights add"
        )
        if production.lhs in weighted:
            kept[key] = replace(first, weight=_weight(first) + _weight(production))
    return list(kept.values()), notes


def _weight(production: Production) -> float:
    return 1.0 if production.weight is None else production.weight


def _mixed_weights(productions: Sequence[Production]) -> list[str]:
    """Notes about nonterminals only some of whose productions have weights."""
    weighted = {production.lhs for production in productions if production.weight is not None}
    first = {p.lhs: p.line for p in reversed(productions) if p.weight is None and p.lhs in weighted}
    return [
        f"line {line}: only some productions of {lhs} have weights; the others count as 1"
        for lhs, line in first.items()
    ]


def _useful(rules: Rules, productions: list[Production]) -> tuple[list[Production], list[str]]:
    """The productions that some derivation from the start uses, and notes about the others."""
    notes = []
    grammar = _tables(rules, productions)
    productive = [length < NEVER for length in grammar.min_len]
    if not productive[grammar.start]:
        line = next(p.line for p in productions if p.lhs == rules.start)
        raise mistake(
            rules.source, line, f"{rules.start} derives no sentence: every rule of it leads to another, without end."
        )
    kept = []
    for production, children in zip(productions, grammar.children, strict=True):
        endless = [grammar.nonterminals[child] for child in children if not productive[child]]
        if endless:
            notes.append(f"line {production.line}: {brief(production)} is dropped: {endless[0]} derives no sentence")
        else:
            kept.append(production)
    grammar = _tables(rules, kept)
    reached, todo = {grammar.start}, [grammar.start]
    while todo:
        below = {child for p in grammar.by_lhs[todo.pop()] for child in grammar.children[p]}
        todo += below - reached
        reached |= below
    for production in kept:
        if grammar.number[production.lhs.name] not in reached:
            name = production.lhs
            notes.append(
                f"line {production.line}: {brief(production)} is dropped: {rules.start} does not lead to {name}"
            )
    return [p for p in kept if grammar.number[p.lhs.name] in reached], notes


def _refuse_cycles(grammar: Grammar) -> None:
    """Refuse `A =>+ A`, also where the other symbols on the way are nullable."""
    silent = [p for p, production in enumerate(grammar.productions) if len(production.rhs) == len(grammar.children[p])]
    lengths = shortest(grammar.lhs[silent], [grammar.children[p] for p in silent], len(grammar.nonterminals))
    nullable = lengths < NEVER
    units: dict[tuple[int, int], Production] = {}
    for p in silent:
        children = grammar.children[p]
        solid = [child for child in children if not nullable[child]]
        for child in solid if len(solid) == 1 else () if solid else children:
            units.setdefault((int(grammar.lhs[p]), child), grammar.productions[p])
    graph: dict[int, list[int]] = {}
    for parent, child in units:
        graph.setdefault(parent, []).append(child)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        cycle = error.args[1][::-1]
        line = units[cycle[0], cycle[1]].line
        names = " -> ".join(grammar.nonterminals[number] for number in cycle[:_SHOWN])
        names += " -> ..." * (len(cycle) > _SHOWN)
        raise mistake(
            grammar.rules.source, line, f"{names} is a cycle: a sentence would have infinitely many derivations."
        ) from error


def _max_len(grammar: Grammar, max_len: int | None) -> tuple[int, list[str]]:
    """The maximum length, checked or chosen, and a note if it was chosen."""
    least = int(grammar.min_len[grammar.start])
    wanted = least if max_len is None else max_len
    if not least <= wanted <= MAX_LENGTH:
        raise UserError(
            f"{grammar.rules.source}: the maximum length must be from {least}, the productions of the shortest "
            f"sentence, to {MAX_LENGTH}. Got {wanted}."
        )
    if max_len is None:
        max_len, total = default_max_len(grammar)
        some = f"at least {ENOUGH:,}" if total >= ENOUGH else f"{total:,}"
        return max_len, [f"max_len {max_len} is taken (derivations up to there: {some}); %max_len sets it"]
    return max_len, []
