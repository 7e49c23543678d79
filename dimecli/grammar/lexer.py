"""From text to tokens: the terminals by longest match where that is safe, else single characters."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Sequence
from itertools import chain
from typing import TYPE_CHECKING

from dimecli.grammar.first import First, Symbols, members
from dimecli.grammar.rules import Nonterminal, Symbol

if TYPE_CHECKING:
    from dimecli.grammar.grammar import Grammar


MOST_LOOKS = 1_000_000
"""At terminals that begin alike: a second's work."""


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

    def explain(self, sentence: str, index: int, expected: Sequence[int]) -> tuple[int, str, list[str]]:
        """Where token `index` starts, in characters from 0, what is there and what could be; as it is written."""
        text = self.read(sentence)
        texts = self._texts(text)
        offset = sum(map(len, texts[:index]))
        found = self._bare(texts[index]) if index < len(texts) else ""
        names = [self._bare(self.tokens[token]) for token in expected if token != self.end]
        places = self._places(sentence)
        rest, written = text[offset:], text[offset : len(places)]
        begun = [name for name in names if written.startswith(name) and not rest.startswith(name + self._suffix)]
        if begun:  # the terminal is there, and no separator behind it
            offset += max(map(len, begun))
            found, names = text[offset], [self._suffix]
        elif rest and offset >= len(places) and not names:  # a separator at the end, where none belongs
            offset -= len(self._suffix)
            found = text[offset : len(places)]
        wanted = list(map(repr, names))
        if offset >= len(places):
            return len(sentence), "the end", wanted
        return places[offset], repr(found), wanted + ["the end"] * (self.end in expected and not begun)

    def _places(self, sentence: str) -> list[int]:
        """For each character of what was read, without the separator at its end, its place in the sentence."""
        if not self._spaces_are_free:
            return list(range(len(sentence)))
        words = re.finditer(r"\S+", sentence)
        return [at for word in words for at in [*range(*word.span()), *[word.end()] * len(self._joint)]]

    def _bare(self, text: str) -> str:
        """A token without the separator that belongs to it."""
        return text.removesuffix(self._suffix) or text


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
    pairs of neighbours are looked at, and no more than MOST_LOOKS times.
    """
    after = _neighbours(len(terminals), lhs, rhs)
    number = {text: token for token, text in enumerate(terminals)}
    ordered = sorted(terminals)  # those that begin with the same text are neighbours

    looks = 0

    def can_follow(token: int, rest: str) -> bool:
        """Whether what stands behind a token can begin with `rest`, or that took too many looks."""
        nonlocal looks
        todo, seen = [(token, rest)], {(token, rest)}
        while todo:
            token, rest = todo.pop()
            looks += len(rest)
            if looks > MOST_LOOKS:
                return True
            for place in range(bisect_left(ordered, rest), len(ordered)):
                if not ordered[place].startswith(rest):
                    break
                looks += 1
                if after[token] >> number[ordered[place]] & 1:
                    return True
            for cut in range(1, len(rest)):
                follower = number.get(rest[:cut])
                if follower is not None and after[token] >> follower & 1 and (follower, rest[cut:]) not in seen:
                    seen.add((follower, rest[cut:]))
                    todo.append((follower, rest[cut:]))
        return False

    return not any(
        longer[:cut] in number and can_follow(number[longer[:cut]], longer[cut:])
        for longer in terminals
        for cut in range(1, len(longer))
    )


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
