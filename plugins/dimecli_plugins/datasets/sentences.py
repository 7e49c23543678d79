"""Sentences of a context-free grammar."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, Self, cast, get_args

from pydantic import Field, field_validator, model_validator

from dimecli.data.cache import keep, recall
from dimecli.data.samples import SPLIT_SEED, Samples, split_off
from dimecli.data.sentences import Productions, text_lines
from dimecli.data.spec import Spec
from dimecli.errors import UserError
from dimecli.grammar.languages import find_language
from dimecli.grammar.text import MAX_LENGTH
from dimecli.lazy import np, torch
from dimecli.plugin import Dataset, Language, Problem
from dimecli.registry import make

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dimecli.grammar import Grammar

By = Literal["length", "uniform", "pcfg"]

DRAWN = 5_000
SYMBOLS = 75_000  # at most so many symbols are drawn unless asked for more: a minute of training on one core
_SAMPLED: tuple[By, ...] = get_args(By)
_FORMAT = 1  # of what is cached; another number where the same options give other sentences
_EQUAL = 1e-9  # values that are closer are of equal functions


class Sentences(Dataset):
    """Sentences of a context-free grammar, drawn from it or read from your file, one a line.

    A sample is the leftmost derivation of a sentence: the numbers of its productions. No sentence
    occurs twice, whatever the source, so those to test on are unseen; they are the same for every seed.
    """

    grammar: str = Field("expressions", description="Name of a grammar, or a .cfg file of yours.")
    max_length: int | None = Field(
        None, ge=1, le=MAX_LENGTH, description="Productions in the longest derivation; default: what the grammar says."
    )
    source: str | None = Field(
        None,
        description="Drawn so that all lengths are as frequent (length), or all derivations (uniform), or by the "
        "weights of the productions (pcfg); read from --data (file); or what the grammar brings along, such as gvae. "
        "Default: file where --data is given, else what suits the grammar, mostly length.",
    )
    data: Path | None = Field(None, description="Text file with one sentence a line.")
    skip_invalid: bool = Field(False, description="Leave out the lines that are no sentences, instead of stopping.")
    size: int | None = Field(
        None,
        ge=1,
        description="Sentences to draw; 100000 for a model that is to last. Of a file: lines to take, at random. "
        f"Default: where they are drawn {DRAWN}, or fewer long ones ({SYMBOLS} symbols in all); else all.",
    )
    hold_out: float | None = Field(
        None,
        description="Leave out the sentences worth this much or better in the grammar's own problem: those of score "
        "0.1 or less, say, for expressions.",
    )
    test: float = Field(0.2, gt=0, lt=1, description="Share of the sentences kept for testing.")

    network: ClassVar[str] = "grammar-transformer"

    @property
    def language(self) -> Language:
        """The grammar with what its sentences mean."""
        return find_language(self.grammar, self.max_length)

    @property
    def label(self) -> str:
        """The grammar's name, or that of its file."""
        return Path(self.grammar).stem

    @field_validator("grammar")
    @classmethod
    def _absolute(cls, value: str) -> str:
        """A file is found from whichever folder the run is resumed in; a name stays."""
        is_file = os.sep in value or bool(Path(value).suffix)
        return os.path.abspath(os.path.expanduser(value)) if is_file else value

    @model_validator(mode="after")
    def _source_suits_data(self) -> Self:
        if self.source == "file" and self.data is None:
            raise ValueError("--source file needs --data FILE")
        if self.source not in (None, "file") and self.data is not None:
            raise ValueError(f"--data goes with --source file, not with {self.source}")
        if self.skip_invalid and self.data is None and self.source in (None, *_SAMPLED):
            raise ValueError("--skip-invalid is for sentences that are read, such as with --data FILE")
        return self

    def read(self, split: Literal["train", "test"]) -> Samples:
        """`(N, T)` int16: the production ids of each derivation, then the padding id.

        Raises:
            UserError: the grammar or the file is not as it has to be, or too few sentences are left.
        """
        train, test = split_off(self._sentences()[0], self.test, "--test")
        return train if split == "train" else test

    def notes(self) -> Sequence[str]:
        """What the grammar's compiler warned about, and what was left out."""
        return self._sentences()[1]

    def _sentences(self) -> tuple[Samples, Sequence[str]]:
        """All sentences, from the cache if they are there, and the notes."""
        language = self.language
        grammar = language.compile()
        spec = Spec(modality="sentence", shape=(grammar.max_len,), likelihood=Productions(grammar=grammar.text))
        source = self._source(language)
        lines = None if source in _SAMPLED else self._lines(language, source)
        name = f"sentences-{self._key(grammar, lines)}"
        if kept := recall(name, spec):
            samples, about = kept
            return samples, about["notes"]
        notes = list(grammar.notes)
        if lines is None:
            ids = self._drawn(grammar, cast("By", source), notes)
        else:
            ids = self._parsed(grammar, lines, str(self.data or source), notes)
        samples = Samples(spec, torch.from_numpy(self._chosen(language, grammar, ids, notes)))
        keep(name, samples, {"notes": notes})
        return samples, notes

    def _source(self, language: Language) -> str:
        """Where the sentences are from.

        Raises:
            UserError: the grammar offers no such source.
        """
        source = self.source or (language.source if self.data is None else "file")
        offered = (*_SAMPLED, "file", *sorted(language.sources))
        if source not in offered:
            raise UserError(f"--source {source}: grammar '{self.grammar}' offers {', '.join(offered)}")
        return source

    def _lines(self, language: Language, source: str) -> Sequence[str]:
        """The lines of the file, or the sentences that the grammar brings along."""
        if self.data is None:
            return language.sources[source]()
        try:
            content = self.data.expanduser().read_bytes()
        except OSError as error:
            raise UserError(f"--data {self.data}: cannot be read ({error.strerror})") from error
        return text_lines(content, f"--data {self.data}")

    def _key(self, grammar: Grammar, lines: Sequence[str] | None) -> str:
        """A hash of everything that decides the sentences."""
        options = self.options()
        for split in ("test", "validation"):
            del options[split]
        text = json.dumps([_FORMAT, grammar.fingerprint, options, lines])
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    def _drawn(self, grammar: Grammar, by: By, notes: list[str]) -> NDArray[np.int16]:
        from dimecli.grammar.distinct import sample_distinct

        size = self.size or min(DRAWN, max(100, SYMBOLS // grammar.max_len))
        ids = sample_distinct(grammar, size, np.random.default_rng(SPLIT_SEED), by)
        if len(ids) < size:
            notes.append(
                f"the grammar has {len(ids)} derivations of at most {grammar.max_len} productions: all are taken"
            )
        return ids

    def _parsed(self, grammar: Grammar, lines: Sequence[str], where: str, notes: list[str]) -> NDArray[np.int16]:
        numbers = [number for number, line in enumerate(lines, 1) if line.strip()]
        if not numbers:
            raise UserError(f"--data {where}: has no sentences, one a line")
        if self.size is not None:
            numbers = sorted(np.random.default_rng(SPLIT_SEED).permutation(numbers)[: self.size].tolist())
        ids, wrong = grammar.parse_all([lines[number - 1] for number in numbers])
        if wrong:
            first = min(wrong)
            told = f"{where}:{numbers[first]}: {wrong[first]}"
            count = f"{len(wrong)} of {len(numbers)} lines"
            if len(wrong) == len(numbers):
                raise UserError(f"{told}; none of {len(numbers)} lines is a sentence of '{self.grammar}'")
            if not self.skip_invalid:
                raise UserError(f"{told}; {count} are no sentences, --skip-invalid leaves them out")
            notes.append(f"left out {count} that are no sentences, the first is {told}")
        return np.delete(ids, list(wrong), axis=0)

    def _chosen(
        self, language: Language, grammar: Grammar, ids: NDArray[np.int16], notes: list[str]
    ) -> NDArray[np.int16]:
        """The ids without sentences that occurred before, and without those to hold out."""
        first: dict[str | None, int] = {}
        for row, text in enumerate(grammar.unparse_all(ids)):
            first.setdefault(text, row)
        rows = np.array(list(first.values()), dtype=np.int64)
        if len(rows) < len(ids):
            notes.append(f"left out {len(ids) - len(rows)} of {len(ids)} sentences that occurred before")
        if self.hold_out is not None:
            good = self._good(language, [str(text) for text in first], self.hold_out)
            if good.all():
                raise UserError(f"--hold-out {self.hold_out:g}: all {len(rows)} sentences are worth that or better")
            notes.append(f"left out {good.sum()} of {len(rows)} sentences worth {self.hold_out:g} or better")
            rows = rows[~good]
        return ids[rows]

    def _good(self, language: Language, sentences: Sequence[str], limit: float) -> NDArray[np.bool_]:
        """`(n,)`: which sentences are worth that much or better in the grammar's problem; an invalid one is not."""
        from dimecli.search.call import Call, evaluate

        if language.problem is None:
            raise UserError(f"--hold-out {limit:g}: grammar '{self.grammar}' has no problem that says what is good")
        problem: Problem = make("problem", language.problem)
        problem.check(language)
        if problem.cheap:
            outcomes = evaluate(problem, sentences, language)
        else:
            call = Call(problem, language, timeout=None)
            outcomes = [call(sentence)[0] for sentence in sentences]
        sign = 1 if problem.direction == "max" else -1
        utilities = [-np.inf if outcome.value is None else sign * outcome.value for outcome in outcomes]
        return np.array(utilities) >= sign * limit - _EQUAL
