"""nltk's CFG and PCFG text, with directives: read through nltk, written in canonical form."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from dimecli.errors import UserError, did_you_mean
from dimecli.grammar.directives import FORMS
from dimecli.grammar.messages import mistake, shown
from dimecli.grammar.rules import Constraint, Nonterminal, Production, Rules, quoted

if TYPE_CHECKING:
    from dimecli.grammar.grammar import Grammar

MAX_BYTES = 1_000_000
"""Of a grammar file."""
MAX_PRODUCTIONS = 32_766
"""Production ids and the padding id are 16-bit numbers."""
MAX_LENGTH = 10_000
"""Of a derivation, in productions."""

MAX_SYMBOLS = 256
"""On a right-hand side; nltk's time is quadratic in them."""
UNPRINTABLE = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
"""What no line of text contains: control characters, other line breaks, halves of characters."""

_MAX_CHARACTERS = 10_000  # of a production
_WEIGHTS = (1e-100, 1e100)  # so that sums and quotients of weights are finite
_PIECE = re.compile(r"""'[^']*'|"[^"]*"|\[[^\[\]]*\]|\||\#.*|[^'"\[|\#]+|(?P<open>['"\[])""")
_WORD = re.compile(r"""'[^']*'|"[^"]*"|\#.*|[^\s'"\#]+|(?P<open>['"])""")


def read_file(path: Path) -> str:
    """The text of a grammar file, UTF-8 and at most `MAX_BYTES` long.

    Raises:
        UserError: it cannot be read, is longer, or is no UTF-8 text.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}).") from error
    if len(content) > MAX_BYTES:
        raise UserError(f"{path}: must be a grammar of at most {MAX_BYTES:,} bytes. Got more.")
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise mistake(str(path), line, f"must be UTF-8 text. Got the byte {content[error.start]:#x}.") from error


def refuse_many(productions: int, source: str, line: int) -> None:
    """Raise UserError if these are more productions than a grammar may have."""
    if productions > MAX_PRODUCTIONS:
        raise mistake(source, line, f"a grammar has at most {MAX_PRODUCTIONS:,} productions.")


def refuse_long(production: str) -> None:
    """Raise ValueError if the text of a production is longer than one may be."""
    if len(production) > _MAX_CHARACTERS:
        raise ValueError(f"a production has at most {_MAX_CHARACTERS:,} characters. Got {len(production):,}.")


def read_rules(text: str, source: str) -> Rules:
    """The rules of nltk's CFG or PCFG text, extended.

    Alternatives may stand on lines of their own that begin with `|`, `#` begins a comment anywhere
    outside quotes, weights `[2.5]` are optional and need not sum to one, and an empty terminal `''`
    is the same as none. `%start S`, `%max_len 15` and `%separator ' '` set what `Rules` says;
    `%nest`, `%require`, `%forbid` and `%limit` constrain derivations.

    Raises:
        UserError: bad notation, with the line.
    """
    reader = _Reader(source)
    for number, line in _lines(text):
        if found := UNPRINTABLE.search(line):
            raise mistake(source, number, f"a grammar is text. Got the control character {found[0]!r}.")
        try:
            reader.read(number, line)
        except ValueError as error:
            raise mistake(source, number, str(error)) from error
    return reader.rules()


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """The lines that say something, with their numbers; a backslash at the end joins a line with the next."""
    begun: list[str] = []
    for number, raw in enumerate(f"{text}\n".split("\n"), 1):
        line = raw.strip()
        if line.endswith("\\") and not line.startswith("#"):
            begun.append(line[:-1])
        elif begun or (line and not line.startswith("#")):
            yield number, " ".join([*begun, line]).strip()
            begun = []


@dataclass
class _Reader:
    source: str
    productions: list[Production] = field(default_factory=list)
    constraints: list[Constraint] = field(default_factory=list)
    lhs: str = ""
    settings: dict[str, str] = field(default_factory=dict)

    def read(self, number: int, line: str) -> None:
        """Take one line; raises ValueError where it is wrong."""
        if line.startswith("%"):
            self.directive(number, line)
            return
        lhs, arrow, body = ("", "", line[1:]) if line.startswith("|") else line.partition("->")
        if not arrow and (lhs or not self.lhs):
            raise ValueError(f"must be NAME -> SYMBOLS | SYMBOLS, terminals in quotes. Got {shown(line)}.")
        self.lhs = lhs.strip() or self.lhs
        alternatives = list(_alternatives(body))
        refuse_many(len(self.productions) + len(alternatives), self.source, number)
        self.productions += (_production(self.lhs, symbols, weight, number) for symbols, weight in alternatives)

    def directive(self, number: int, line: str) -> None:
        """Take a line that begins with %."""
        name, *words = _words(line[1:])
        if name in FORMS:
            self.constraints.append(Constraint(name, tuple(words), number))
            return
        allowed = {"start": _start, "max_len": _max_len, "separator": _separator}
        if name not in allowed:
            raise ValueError(f"no directive %{name}.{did_you_mean(name, [*allowed, *FORMS])}")
        if name in self.settings:
            raise ValueError(f"%{name} is given twice.")
        self.settings[name] = allowed[name](words)

    def rules(self) -> Rules:
        """What was read."""
        if not self.productions:
            raise UserError(f"{self.source}: must hold at least one rule such as S -> 'a' S | 'b'. Got none.")
        start, max_len = self.settings.get("start"), self.settings.get("max_len")
        return Rules(
            self.source,
            tuple(self.productions),
            Nonterminal(start) if start else self.productions[0].lhs,
            int(max_len) if max_len else None,
            self.settings.get("separator", ""),
            tuple(self.constraints),
        )


def _words(text: str) -> list[str]:
    """The words of a directive; a terminal in quotes is one word, and keeps them."""
    words = []
    for match in _WORD.finditer(text):
        if match["open"]:
            raise ValueError(f"the quote {match['open']} is not closed.")
        if not match[0].startswith("#"):
            words.append(match[0])
    return words or [""]


def _start(words: list[str]) -> str:
    if len(words) != 1:
        raise ValueError(f"%start must be followed by one nonterminal. Got {shown(' '.join(words))}.")
    return _production(words[0], "", None, 0).lhs.name


def _max_len(words: list[str]) -> str:
    if len(words) != 1 or not re.fullmatch("[0-9]{1,5}", words[0]) or not 1 <= int(words[0]) <= MAX_LENGTH:
        raise ValueError(f"%max_len must be a whole number from 1 to {MAX_LENGTH}. Got {shown(' '.join(words))}.")
    return words[0]


def _separator(words: list[str]) -> str:
    if len(words) != 1 or words[0][0] not in "'\"":
        raise ValueError(f"%separator must be text in quotes such as ' '. Got {shown(' '.join(words))}.")
    return words[0][1:-1]


def _alternatives(body: str) -> Iterator[tuple[str, float | None]]:
    """The right-hand sides of a line and their weights."""
    symbols, weight = "", None
    for match in _PIECE.finditer(body):
        piece = match[0]
        if match["open"]:
            raise ValueError(f"{piece} is not closed. A terminal stands in quotes, a weight such as [0.2] at the end.")
        if piece == "|":
            yield symbols, weight
            symbols, weight = "", None
        elif piece.startswith("["):
            if weight is not None:
                raise ValueError(f"a right-hand side has one weight. Got {shown(piece)} as the second.")
            weight = _weight(piece[1:-1])
        elif not piece.startswith("#") and piece.strip():
            if weight is not None:
                raise ValueError(
                    f"a weight stands at the end of a right-hand side. Got {shown(piece.strip())} behind it."
                )
            symbols += piece
    yield symbols, weight


def _weight(text: str) -> float:
    low, high = _WEIGHTS
    try:
        weight = float(text)
    except ValueError:
        weight = math.nan
    if not low <= weight <= high:
        raise ValueError(f"a weight must be a number above 0, from {low:g} to {high:g}. Got [{text[:40]}].")
    return weight


def _production(lhs: str, symbols: str, weight: float | None, line: int) -> Production:
    """One production, read by nltk."""
    from nltk import CFG
    from nltk import Nonterminal as Named

    text = f"{lhs} -> {symbols}"
    refuse_long(text)
    try:
        (production,) = CFG.fromstring(text).productions()
    except ValueError as error:
        problem = str(error).rpartition("\n")[2].partition(", found: ")
        found = f" at {shown(problem[2])}" if problem[2] else ""
        allowed = "must be NAME -> SYMBOLS | SYMBOLS, terminals in quotes"
        raise ValueError(f"{allowed}. Got {shown(text.strip())} ({problem[0]}{found}).") from error
    rhs = tuple(Nonterminal(str(s)) if isinstance(s, Named) else s for s in production.rhs() if s != "")
    if len(rhs) > MAX_SYMBOLS:
        raise ValueError(f"a production has at most {MAX_SYMBOLS} symbols. Got {len(rhs)}.")
    return Production(Nonterminal(str(production.lhs())), rhs, weight, line)


def write_text(rules: Rules) -> str:
    """Text in nltk's notation with directives, from which `read_rules` makes the same rules."""
    lines = [f"%start {rules.start}"]
    if rules.max_len is not None:
        lines.append(f"%max_len {rules.max_len}")
    if rules.separator:
        lines.append(f"%separator {quoted(rules.separator)}")
    lines += [str(constraint) for constraint in rules.constraints]
    for production in rules.productions:
        lines.append(str(production) + ("" if production.weight is None else f" [{production.weight!r}]"))
    return "\n".join(lines) + "\n"


def write_rules(grammar: Grammar) -> str:
    """The canonical text of a grammar: its rules in force, without what the compiler dropped."""
    productions = (grammar.base or grammar).productions
    return write_text(replace(grammar.rules, productions=productions, max_len=grammar.max_len))
