"""Lark's notation, read by lark."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from dimecli.errors import UserError
from dimecli.grammar.importers.characters import ESCAPE, character_class, repetition, unescape
from dimecli.grammar.importers.expand import Choice, Definition, Name, Node, Repeat, Series, Text, expand
from dimecli.grammar.importers.size import refuse_large
from dimecli.grammar.importers.syntax import Token, parse_expression, tokens
from dimecli.grammar.messages import brief, mistake
from dimecli.grammar.rules import Rules

if TYPE_CHECKING:
    from lark import Lark
    from lark.lexer import TerminalDef

MAX_STRINGS = 1_000
"""Of a terminal."""
MAX_CHARACTERS = 100_000
"""Of all strings of a terminal."""

_REGEX = re.compile(
    rf"""(?P<open>\(\?:|\((?!\?))|(?P<mark>[|)])|(?P<repeat>[*+?]|\{{\d+(?:,\d*)?\}})|(?P<digit>\\d)
    |(?P<class>\[(?:[^\]\\]|{ESCAPE})+\])|(?P<text>{ESCAPE}|[^\\.^$\[\](){{}}*+?|])""",
    re.VERBOSE | re.DOTALL,
)


def read(text: str, source: str) -> Rules:
    """The rules of a lark grammar; sentences are derived from `start`.

    A terminal of one string stands where it is used, one of several becomes a nonterminal. What lark
    ignores between terminals does not occur in sentences; a note says so.

    Raises:
        UserError: lark cannot read it, or not in little time, or a terminal is not a finite set of strings.
    """
    from lark import Lark

    refuse_large(text, source)
    try:
        grammar = Lark(text, parser="earley")
    except Exception as error:  # lark lets those of its regular expressions, of files and of bad escapes pass
        problem, line, *_ = [*re.split(r", at line (\d+)", " ".join(str(error).split())), "1"]
        raise mistake(source, int(line), f"lark cannot read it: {brief(problem)}") from error
    notes = tuple(f"%ignore {_pattern(grammar, name)}: left out" for name in grammar.ignore_tokens)
    return expand(list(_definitions(grammar, source)), source, "start", notes)


def _definitions(grammar: Lark, source: str) -> Iterator[Definition]:
    """Lark's rules, then the terminals of several strings; each with its line, or that of the first rule to use it."""
    lines: dict[str, int] = {}
    terminals = {terminal.name: terminal for terminal in grammar.terminals}
    nodes: dict[str, Node] = {}
    for rule in grammar.rules:
        name = str(rule.origin.name)
        line = lines[name] = getattr(rule.origin.name, "line", lines.get(name, 1))
        parts: list[Node] = []
        for symbol in rule.expansion:
            lines.setdefault(symbol.name, line)
            if symbol.is_term and symbol.name not in nodes:
                nodes[symbol.name] = _terminal(terminals[symbol.name], source, line)
            node = nodes.get(symbol.name)
            parts.append(node if isinstance(node, Text) else Name(str(symbol.name)))
        yield Definition(name, Series(tuple(parts)), line)
    for name, node in nodes.items():
        if not isinstance(node, Text):
            yield Definition(name, node, lines[name])


def _terminal(terminal: TerminalDef, source: str, line: int) -> Node:
    """The strings of a terminal: one, or a choice."""
    pattern, where = terminal.pattern, f"{source}:{line}: terminal {terminal.name}"
    try:
        if pattern.flags:
            raise ValueError(f"the flags {''.join(sorted(pattern.flags))!r} are not supported.")
        if pattern.type == "str":
            return Text(pattern.value)
        found = strings(parse_expression(tokens(_REGEX, pattern.value, where, _token), where))
    except ValueError as error:
        raise UserError(f"{where}: {error}") from error
    return Text(found[0]) if len(found) == 1 else Choice(tuple(map(Text, found)))


def _token(kind: str, piece: str, line: int) -> Token:
    """A token of a regular expression."""
    if kind == "text":
        return Token("item", piece, line, Text(unescape(piece)))
    if kind == "digit":
        return Token("item", piece, line, character_class("0-9", "."))
    if kind == "class":
        return Token("item", piece, line, character_class(piece[1:-1], rf"{ESCAPE}|[^\\]", {r"\d": "0123456789"}))
    if kind == "repeat":
        return Token(kind, piece, line, times=repetition(piece))
    return Token("(" if kind == "open" else piece, piece, line)


def strings(node: Node) -> list[str]:
    """Every string that a node without names stands for, each once.

    Raises:
        ValueError: there are infinitely many, or more than `MAX_STRINGS`.
    """
    match node:
        case Text(text):
            found = [text]
        case Choice(options):
            found = [text for option in options for text in strings(option)]
        case Series(parts):
            found = _joined([strings(part) for part in parts])
        case Repeat(part, low, high) if high is not None:
            once = strings(part)
            found = [text for times in range(low, high + 1) for text in _joined([once] * times)]
        case _:
            raise ValueError("must be a finite set of strings, without * and +; write what repeats as a rule.")
    return _few(list(dict.fromkeys(found)))


def _joined(parts: list[list[str]]) -> list[str]:
    """One string of each part, in all ways."""
    found = [""]
    for part in parts:
        if len(found) * len(part) > MAX_CHARACTERS:
            raise ValueError(f"must have at most {MAX_STRINGS:,} strings; write some of it as a rule.")
        found = _few(list(dict.fromkeys(before + text for before in found for text in part)))
    return found


def _few(found: list[str]) -> list[str]:
    if len(found) > MAX_STRINGS or sum(map(len, found)) > MAX_CHARACTERS:
        raise ValueError(f"must have at most {MAX_STRINGS:,} strings; write some of it as a rule.")
    return found


def _pattern(grammar: Lark, name: str) -> str:
    """An ignored terminal as the grammar writes it."""
    pattern = next(terminal.pattern for terminal in grammar.terminals if terminal.name == name)
    return brief(f"{name} {pattern.value!r}")
