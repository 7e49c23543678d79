"""nltk's CFG and PCFG text, with directives: read through nltk, written in canonical form."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from dimecli.errors import UserError
from dimecli.grammar.rules import Constraint, Nonterminal, Production, Rules

if TYPE_CHECKING:
    from dimecli.grammar.grammar import Grammar


def read_file(path: Path) -> str:
    """The text of a grammar file."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read ({error})") from error


def read_rules(text: str, source: str) -> Rules:
    """First version: `LHS -> a 'b' | c [0.2]` lines, comments, %start, %max_len, %separator, constraints."""
    from nltk import CFG
    from nltk import Nonterminal as NltkNonterminal

    start, max_len, separator = None, None, ""
    constraints: list[Constraint] = []
    productions: list[Production] = []
    lhs = ""
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        if line.startswith("%"):
            name, *words = line[1:].split()
            if name == "start":
                start = Nonterminal(words[0])
            elif name == "max_len":
                max_len = int(words[0])
            elif name == "separator":
                separator = line.split("'")[1]
            else:
                constraints.append(Constraint(name, tuple(words), number))
            continue
        if line.startswith("|"):
            line = f"{lhs} -> {line[1:]}"
        lhs = line.split("->")[0].strip()
        weights = [
            (m := re.search(r"\[([\d.eE+-]+)\]\s*$", part)) and float(m[1])
            for part in re.split(r"\|(?=(?:[^']*'[^']*')*[^']*$)", line)
        ]
        grammar = CFG.fromstring(re.sub(r"\[[\d.eE+-]+\]", "", line))
        for production, weight in zip(grammar.productions(), weights, strict=True):
            rhs = tuple(Nonterminal(str(s)) if isinstance(s, NltkNonterminal) else s for s in production.rhs())
            productions.append(Production(Nonterminal(str(production.lhs())), rhs, weight, number))
    return Rules(source, tuple(productions), start or productions[0].lhs, max_len, separator, tuple(constraints))


def write_rules(grammar: Grammar) -> str:
    """The canonical text."""
    lines = [f"%start {grammar.rules.start}", f"%max_len {grammar.max_len}"]
    if grammar.rules.separator:
        lines.append(f"%separator '{grammar.rules.separator}'")
    lines += [str(constraint) for constraint in grammar.rules.constraints]
    for production in (grammar.base or grammar).productions:
        lines.append(str(production) + ("" if production.weight is None else f" [{production.weight:.17g}]"))
    return "\n".join(lines) + "\n"
