"""From text to tokens: the terminals by longest match where that is safe, else single characters."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import chain
from typing import TYPE_CHECKING

from dimecli.grammar.first import First, Symbols, members
from dimecli.grammar.rules import Nonterminal, Symbol

if TYPE_CHECKING:
    from dimecli.grammar.grammar import Grammar


class Lexer:
    """Reads sentences of a grammar as token ids 0 .. V-1; `end` is V, and what no token matches is V+1.

    The separator belongs to the terminal before it, and a sentence is read with one more at its end;
    so there is only concatenation to think of. White space is dropped where no terminal contains any,
    and stands for the separator where that is white space itself.

    Args:
        grammar: The grammar; its terminals are not empty.

    Attributes:
        tokens: Texts of the tokens: the terminals if the longest match reads every sentence of the
            language as it was derived, and the characters of the terminals otherwise.
        rhs: Right-hand sides of the productions in tokens.
    """

    def __init__(self, grammar: Grammar) -> None:
        separator = grammar.rules.separator
        self._spaces_are_free = not any(re.search(r"\s", terminal) for terminal in grammar.terminals)
        self._joint = separator if separator.isspace() else ""
        self._suffix = "".join(separator.split()) if self._spaces_are_free and not self._joint else separator
        terminals = [terminal + self._suffix for terminal in grammar.terminals]
        rhs = self._number(grammar, terminals)
        if longest_match_is_safe(terminals, grammar.lhs.tolist(), rhs):
            self.tokens = tuple(terminals)
        else:
            self.tokens = tuple(sorted(set("".join(terminals))))
            rhs = self._number(grammar, self.tokens)
        self.rhs = rhs
        self.end = len(self.tokens)
        longest_first = sorted(self.tokens, key=len, reverse=True)
        any_token = "|".join([*map(re.escape, longest_first), "."])  # or any character
        self._texts: Callable[[str], list[str]] = re.compile(any_token, re.DOTALL).findall
        self._ids = _Ids({text: number for number, text in enumerate(self.tokens)}, self.end + 1)

    def _number(self, grammar: Grammar, tokens: Sequence[str]) -> list[Symbols]:
        """The right-hand sides; a terminal that is no token is spelled in characters."""
        number = {text: index for index, text in enumerate(tokens)}

        def numbers(symbol: Symbol) -> list[int]:
            if isinstance(symbol, Nonterminal):
                return [~grammar.number[symbol.name]]
            text = symbol + self._suffix
            return [number[part] for part in ([text] if text in number else text)]

        return [tuple(chain.from_iterable(map(numbers, production.rhs))) for production in grammar.productions]

    def read(self, sentence: str) -> str:
        """What of a sentence counts: the text to be split into tokens."""
        text = self._joint.join(sentence.split()) if self._spaces_are_free else sentence
        return text and text + self._suffix

    def split(self, text: str) -> list[int]:
        """The token ids of what was read."""
        return list(map(self._ids.__getitem__, self._texts(text)))

    def place(self, sentence: str, index: int) -> tuple[int, str | None]:
        """The character, counted from 0, where token `index` starts, and its text; None at the end."""
        texts = self._texts(self.read(sentence))
        offset = sum(map(len, texts[:index]))
        places = list(range(len(sentence)))
        if self._spaces_are_free:
            words = re.finditer(r"\S+", sentence)
            places = [at for word in words for at in [*range(*word.span()), *[word.end()] * len(self._joint)]]
        if offset >= len(places):
            return len(sentence), None
        return places[offset], self._bare(texts[index])

    def show(self, token: int) -> str:
        """A token as it is written in a sentence."""
        return "the end" if token == self.end else self._bare(self.tokens[token])

    def _bare(self, text: str) -> str:
        return repr(text.removesuffix(self._suffix) or text)


class _Ids(dict[str, int]):
    """Numbers by text, and one number for every text that is not among them."""

    def __init__(self, known: dict[str, int], unknown: int) -> None:
        super().__init__(known)
        self._unknown = unknown

    def __missing__(self, text: str) -> int:
        return self._unknown


def longest_match_is_safe(terminals: Sequence[str], lhs: Sequence[int], rhs: Sequence[Symbols]) -> bool:
    """Whether the longest match reads every sentence as the terminals that it was derived from.

    It errs where a terminal is read on into what follows it: where `ab` is a terminal, `a` too, and
    what can stand behind `a` begins with `b`. True is certain; False may be overcautious, for only
    pairs of neighbours are looked at.
    """
    after = _neighbours(len(terminals), lhs, rhs)
    number = {text: token for token, text in enumerate(terminals)}
    return not any(
        longer[:cut] in number and _can_follow(number[longer[:cut]], longer[cut:], terminals, after)
        for longer in terminals
        for cut in range(1, len(longer))
    )


def _can_follow(token: int, rest: str, terminals: Sequence[str], after: Sequence[int]) -> bool:
    """Whether what stands behind a token can begin with `rest`."""
    todo, seen = [(token, rest)], {(token, rest)}
    while todo:
        token, rest = todo.pop()
        for follower in members(after[token]):
            text = terminals[follower]
            if text.startswith(rest):
                return True
            step = (follower, rest[len(text) :])
            if rest.startswith(text) and step not in seen:
                seen.add(step)
                todo.append(step)
    return False


def _neighbours(tokens: int, lhs: Sequence[int], rhs: Sequence[Symbols]) -> list[int]:
    """For each token the set of those that can stand right behind it in a sentence."""
    nonterminals = max(lhs) + 1
    first = First.of(lhs, rhs, nonterminals)
    last = First.of(lhs, [right[::-1] for right in rhs], nonterminals)
    after = [0] * tokens
    for right in rhs:
        for split in range(1, len(right)):
            behind, _ = first.begin(right[split:])
            for token in members(last.begin(right[split - 1 : split])[0]):
                after[token] |= behind
    return after
