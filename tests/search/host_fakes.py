"""A space, an oracle and searches that are known exactly, to try the host of a search on."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch

from dimecli.grammar import Grammar
from dimecli.plugin import Candidates, History, Language, LatentSpace, Outcome, Problem, Search, Space

BITS = 7
GRAMMAR = Grammar.compile(f"%start S\n%max_len {BITS + 1}\nS -> 'a' S | 'b' S | 'c'")


def word(number: int) -> str:
    """The sentence of a number: its bits as letters a and b, then c."""
    return f"{number:0{BITS}b}".translate(str.maketrans("01", "ab")) + "c"


def number(sentence: str) -> int:
    """The number of a sentence."""
    return int(sentence[:-1].translate(str.maketrans("ab", "01")), 2)


class Words(Language):
    """The grammar of the fakes."""

    def text(self) -> str:
        return GRAMMAR.text


class Circle:
    """Sentences at equal distances around a circle; the last one has no sentence."""

    latent_space: LatentSpace = "sphere"
    grammar = GRAMMAR
    language: Language = Words()

    def __init__(self, training: Sequence[int] = range(0, 128, 3)) -> None:
        self.sentences = [word(value) for value in training]

    @property
    def codes(self) -> torch.Tensor:
        return self.encode(self.sentences)

    def encode(self, sentences: Sequence[str]) -> torch.Tensor:
        angles = torch.tensor([number(sentence) for sentence in sentences], dtype=torch.float64) * math.tau / 2**BITS
        return torch.stack([angles.cos(), angles.sin()], 1)

    def decode(self, codes: torch.Tensor) -> list[str | None]:
        turns = torch.atan2(codes[:, 1], codes[:, 0]) / math.tau
        numbers = (turns * 2**BITS).round().long().remainder(2**BITS).tolist()
        return [None if value == 2**BITS - 1 else word(value) for value in numbers]

    def sample(self, n: int, rng: torch.Generator) -> torch.Tensor:
        return torch.nn.functional.normalize(torch.randn(n, 2, generator=rng, dtype=torch.float64), dim=1)


class Wave(Problem):
    """A wave over the numbers; each seventh is invalid."""

    least: float | None = None
    thrifty: bool = True

    @property
    def worst(self) -> float | None:
        return self.least

    @property
    def cheap(self) -> bool:  # type: ignore[override]
        return self.thrifty

    def evaluate(self, sentences: Sequence[str], language: Language) -> Sequence[Outcome | float]:
        return [outcome_of(number(sentence)) for sentence in sentences]


class LowWave(Wave):
    """The same, to be minimised."""

    direction: ClassVar[Literal["min", "max"]] = "min"


def value_of(value: int) -> float:
    """The wave."""
    return math.sin(value / 9.0) + value / 100.0


def outcome_of(value: int) -> Outcome:
    """The wave with its holes."""
    return Outcome(None, "a seventh") if value % 7 == 6 else Outcome(value_of(value))


class Calls:
    """An oracle that keeps a list of its calls, and gives results in the order that is asked for."""

    def __init__(self, order: Literal["given", "reversed", "shuffled"] = "given", limit: int | None = None) -> None:
        self.order, self.limit = order, limit
        self.calls: list[str] = []

    def evaluate(self, sentences: Sequence[str]) -> Iterator[tuple[int, Outcome, float]]:
        indices = list(range(len(sentences)))
        if self.order == "reversed":
            indices.reverse()
        elif self.order == "shuffled":
            random.Random(1).shuffle(indices)
        for index in indices:
            if self.limit is not None and len(self.calls) == self.limit:
                raise KeyboardInterrupt
            self.calls.append(sentences[index])
            yield index, outcome_of(number(sentences[index])), 0.5


class HangingCalls(Calls):
    """An oracle that adds a line to a file for each call, and hangs in the one after so many."""

    def __init__(self, file: Path, most: int) -> None:
        super().__init__("reversed")
        self.file, self.most = file, most

    def evaluate(self, sentences: Sequence[str]) -> Iterator[tuple[int, Outcome, float]]:
        for index, outcome, seconds in super().evaluate(sentences):
            if len(self.calls) > self.most:
                time.sleep(60)
            with self.file.open("a") as file:
                file.write(sentences[index] + "\n")
            yield index, outcome, seconds


class Climb(Search):
    """Samples around the best so far, as wide as the history is short: everything that it knows decides."""

    def ask(self, n: int, history: History, space: Space, rng: torch.Generator) -> Candidates:
        best = history.codes[history.values.argmax()] if len(history.codes) else space.codes[0]
        spread = 3 / (1 + len(history.codes)) ** 0.5
        codes = best + spread * torch.randn(3 * n, 2, generator=rng, dtype=torch.float64)
        codes = torch.nn.functional.normalize(codes, dim=1)
        mean = history.values.mean() + codes[:, 0] if len(history.codes) else codes[:, 0]
        return Candidates(space.decode(codes), codes, mean, codes[:, 1].abs())


class Fixed(Search):
    """Proposes what it is given, sentence by sentence, and notes what it was asked."""

    asks: Callable[..., Any]

    def ask(self, n: int, history: History, space: Space, rng: torch.Generator) -> Candidates:
        return self.asks(n, history, space, rng)  # type: ignore[no-any-return]
