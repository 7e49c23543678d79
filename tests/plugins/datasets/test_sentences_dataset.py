"""The dataset of sentences: sources, what is left out, the cache."""

from __future__ import annotations

from collections import Counter
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dimecli.data.cache import cache_folder
from dimecli.data.samples import Samples
from dimecli.data.sentences import Productions
from dimecli.errors import UserError
from dimecli.grammar import Grammar
from dimecli.grammar.languages import find_language
from dimecli.registry import make
from dimecli.training.experiment import Experiment
from dimecli.training.settings import TrainSettings
from dimecli_plugins.datasets.sentences import Sentences

AMBIGUOUS = "%start S\n%max_len 7\nS -> S '+' S | 'a' | 'b'\n"
EXPRESSIONS = find_language("expressions").compile()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("DIME_CACHE", str(folder))
    return folder


def ids(samples: Samples) -> torch.Tensor:
    assert isinstance(samples.x, torch.Tensor)
    return samples.x


def texts(dataset: Sentences) -> list[str]:
    """All sentences, those to train on first."""
    rows: list[str] = []
    for samples in (dataset.read("train"), dataset.read("test")):
        likelihood = samples.spec.likelihood
        assert isinstance(likelihood, Productions)
        rows += [str(text) for text in likelihood.text(ids(samples))]
    return rows


def file(tmp_path: Path, *lines: str, name: str = "sentences.txt") -> Path:
    path = tmp_path / name
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_the_spec_is_the_grammar_s() -> None:
    samples = Sentences(size=50).read("train")
    assert samples.spec.modality == "sentence"
    assert samples.spec.shape == (15,)
    assert samples.spec.likelihood == Productions(grammar=EXPRESSIONS.text)
    assert ids(samples).dtype == torch.int16
    assert ids(samples).shape == (40, 15)
    assert Sentences(size=50, max_length=10).read("test").spec.shape == (10,)


@pytest.mark.parametrize("source", [None, "length", "uniform", "pcfg"])
def test_drawn_sentences_are_valid_distinct_and_the_same_every_time(source: str | None) -> None:
    dataset = Sentences(size=300, source=source)
    found = texts(dataset)
    assert len(found) == len(set(found)) == 300
    assert not EXPRESSIONS.parse_all(found)[1]
    assert dataset.read("train").fingerprint() == dataset.read("train").fingerprint()


@pytest.mark.parametrize(("max_length", "expected"), [(10, 5000), (16, 4687), (750, 100), (900, 100)])  # 75,000 symbols
def test_fewer_long_sentences_are_drawn_unless_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, max_length: int, expected: int
) -> None:
    sizes: list[int] = []

    def drawn(grammar: Grammar, size: int, *rest: Any) -> Any:
        sizes.append(size)
        return grammar.parse_all(["a" * n for n in range(1, 8)])[0]

    monkeypatch.setattr("dimecli.grammar.distinct.sample_distinct", drawn)
    path = file(tmp_path, f"%max_len {max_length}\nS -> 'a' S | 'a'", name=f"{max_length}.cfg")
    Sentences(grammar=str(path)).read("train")
    assert sizes == [expected]


def test_lengths_are_equally_frequent_by_default() -> None:
    lengths = Counter((ids(Sentences(size=1000, max_length=10).read("train")) != EXPRESSIONS.pad).sum(1).tolist())
    assert lengths[2] <= 4, "there are four"
    assert set(lengths) <= {2, 4, 6, 8, 10}
    assert abs(lengths[8] - lengths[6]) < 60
    uniform = ids(Sentences(size=1000, max_length=10, source="uniform").read("train"))
    assert ((uniform != EXPRESSIONS.pad).sum(1) == 10).float().mean() > 0.9


def test_derivations_of_one_sentence_count_once(tmp_path: Path) -> None:
    dataset = Sentences(grammar=str(file(tmp_path, AMBIGUOUS, name="mine.cfg")), size=1000)
    found = texts(dataset)
    assert sorted(found) == sorted("+".join(letters) for k in (1, 2, 3, 4) for letters in product("ab", repeat=k))
    notes = "\n".join(dataset.notes())
    assert "the grammar has" in notes
    assert "sentences that occurred before" in notes


def test_a_file_has_one_sentence_a_line(tmp_path: Path) -> None:
    dataset = Sentences(data=file(tmp_path, "x+1", "", "sin(x)", "x+1", "2*x", "exp(3)", "1", "2"), test=0.3)
    assert sorted(texts(dataset)) == sorted(["x+1", "sin(x)", "2*x", "exp(3)", "1", "2"])
    assert dataset.notes() == ["left out 1 of 7 sentences that occurred before"]
    assert ids(dataset.read("test")).shape == (2, 15)


def test_size_takes_lines_at_random(tmp_path: Path) -> None:
    lines = [f"x+{''.join('(' * k)}x{''.join(')' * k)}" for k in range(5)] + ["x", "1", "2", "3", "x*x"]
    found = texts(Sentences(data=file(tmp_path, *lines), size=6))
    assert len(found) == 6
    assert set(found) < set(lines)
    assert sorted(found) != sorted(lines[:6])


def test_a_bad_line_is_named_with_its_number_and_skipped_only_if_asked(tmp_path: Path) -> None:
    path = file(tmp_path, "x", "", "x+", "1", "2", "y", "3")
    with pytest.raises(UserError, match=r"sentences\.txt:3: .*; 2 of 6 lines are no sentences, --skip-invalid leaves"):
        Sentences(data=path).read("train")
    dataset = Sentences(data=path, skip_invalid=True, test=0.5)
    assert sorted(texts(dataset)) == ["1", "2", "3", "x"]
    assert dataset.notes()[0].startswith(f"left out 2 of 6 lines that are no sentences, the first is {path}:3: ")


def test_a_file_of_another_grammar(tmp_path: Path) -> None:
    path = file(tmp_path, "y", "", "z")
    with pytest.raises(UserError, match=r"sentences\.txt:1: .*; none of 2 lines is a sentence of 'expressions'"):
        Sentences(data=path, skip_invalid=True).read("train")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"\xef\xbb\xbfx\n\xffx\n", r":2: must be UTF-8 text, got the byte 0xff"),
        (b"\n \n", ": has no sentences, one a line"),
        (None, r": cannot be read \(No such file or directory\)"),
    ],
)
def test_a_file_without_sentences(tmp_path: Path, content: bytes | None, says: str) -> None:
    path = tmp_path / "data.txt"
    if content:
        path.write_bytes(content)
    with pytest.raises(UserError, match=rf"--data .*data\.txt{says}"):
        Sentences(data=path).read("train")


def test_the_grammar_s_own_source() -> None:
    dataset = Sentences(source="gvae", size=2000)
    found = texts(dataset)
    assert len(set(found)) == 2000
    assert set(found) <= set(find_language("expressions").sources["gvae"]())


def test_hold_out_leaves_out_the_best(tmp_path: Path) -> None:
    lines = ["1/3+x+sin(x*x)", "x", "1", "2", "x*x", "x+sin(x*x)", "3", "exp(x)"]
    scores = np.array(make("problem", "expression-regression").evaluate(lines, find_language("expressions")))
    path = file(tmp_path, *lines)
    dataset = Sentences(data=path, hold_out=float(scores[1]), test=0.4)
    assert sorted(texts(dataset)) == sorted(np.array(lines)[scores > scores[1] + 1e-9])
    assert dataset.notes() == [f"left out 3 of 8 sentences worth {scores[1]:g} or better"]
    rounded = Sentences(data=path, hold_out=float(scores[1]) - 1e-12, test=0.4)  # the last bits may differ
    assert sorted(texts(rounded)) == sorted(texts(dataset))
    everything = Sentences(data=path, hold_out=-1.0, test=0.4)
    assert sorted(texts(everything)) == sorted(lines)


def test_hold_out_asks_the_problem_of_the_grammar_and_its_direction(tmp_path: Path) -> None:
    pytest.importorskip("rdkit")
    lines = ["C" * length for length in range(1, 9)] + ["C(C)(C)(C)(C)C"]  # the last is no molecule
    dataset = Sentences(grammar="smiles", data=file(tmp_path, *lines), hold_out=0.0, test=0.4)
    problem = make("problem", "penalized-logp")
    values = [problem.evaluate([line], find_language("smiles"))[0] for line in lines[:-1]]
    kept = [line for line, value in zip(lines, values, strict=False) if value < 0]
    assert 1 < len(kept) < 8
    assert sorted(texts(dataset)) == sorted([*kept, lines[-1]])


def test_a_file_of_arithmetic_has_the_problem_of_expressions(tmp_path: Path) -> None:
    own = file(tmp_path, "%max_len 9\nS -> S '+' T | T\nT -> 'x' | '0.3' | 'sin(' S ')'", name="own.cfg")
    held = Sentences(grammar=str(own), size=100, hold_out=0.4)
    near = {"0.3", "sin(0.3)", "sin(sin(0.3))"}  # to the best constant that x can have beside it
    expected = {text for constant in near for text in (f"x+{constant}", f"{constant}+x")}
    assert set(texts(Sentences(grammar=str(own), size=100))) - set(texts(held)) == expected


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"source": "zinc"}, "--source zinc: grammar 'expressions' offers length, uniform, pcfg, file, gvae"),
        ({"grammar": "boolean", "hold_out": 1.0}, "--hold-out 1: grammar 'boolean' has no problem"),
        ({"size": 50, "hold_out": 1e9}, "--hold-out 1e\\+09: all 50 sentences are worth that or better"),
        ({"grammar": "expresions"}, "expresions.*Did you mean 'expressions'"),
        ({"max_length": 1}, "1"),
        ({"size": 2}, "--test 0.2: that share of 2 samples leaves one part empty"),
    ],
)
def test_mistakes(options: dict[str, Any], says: str) -> None:
    with pytest.raises(UserError, match=says):
        Sentences(**options).read("train")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"source": "file"}, "--source file needs --data FILE"),
        ({"source": "pcfg", "data": "x.txt"}, "--data goes with --source file, not with pcfg"),
        ({"skip_invalid": True}, "--skip-invalid is for sentences that are read"),
        ({"max_length": 10_001}, "less than or equal to 10000"),
    ],
)
def test_options_that_contradict_each_other(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Sentences(**options)


def test_a_file_is_found_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file(tmp_path, AMBIGUOUS, name="mine.cfg")
    monkeypatch.chdir(tmp_path)
    options = Sentences(grammar="mine.cfg", data=Path("x.txt")).options()
    assert options["grammar"] == str(tmp_path / "mine.cfg")
    assert options["data"] == str(tmp_path / "x.txt")
    assert Sentences(grammar="expressions").options()["grammar"] == "expressions"
    monkeypatch.setenv("HOME", str(tmp_path))
    assert Sentences(grammar="~/mine.cfg").grammar == str(tmp_path / "mine.cfg")


def test_sentences_are_made_once(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = Sentences(size=100)
    first = dataset.read("train").fingerprint()
    assert len(list(cache.iterdir())) == 1
    with monkeypatch.context() as patched:
        patched.setattr("dimecli.grammar.distinct.sample_distinct", None)
        assert dataset.read("train").fingerprint() == first
        assert Sentences(size=100, test=0.5, validation=0.5).read("train")
    for other in (Sentences(size=101), Sentences(size=100, source="uniform"), Sentences(size=100, max_length=14)):
        assert other.read("train").fingerprint() != first
    assert len(list(cache.iterdir())) == 4


def test_a_file_that_changed_is_read_again(cache: Path, tmp_path: Path) -> None:
    path = file(tmp_path, "x", "1", "2")
    grammar = file(tmp_path, AMBIGUOUS, name="mine.cfg")
    dataset, mine = Sentences(data=path, test=0.4), Sentences(grammar=str(grammar))
    before = mine.read("train").spec
    assert sorted(texts(dataset)) == ["1", "2", "x"]
    file(tmp_path, "x", "1", "3")
    assert sorted(texts(dataset)) == ["1", "3", "x"]
    file(tmp_path, AMBIGUOUS.replace("'b'", "'c'"), name="mine.cfg")
    assert mine.read("train").spec != before


def test_a_damaged_cache_is_made_anew(cache: Path) -> None:
    dataset = Sentences(size=100)
    first = dataset.read("train").fingerprint()
    (kept,) = cache.iterdir()
    whole = kept.read_bytes()
    for damaged in (b"", whole[:-7], whole[:-1] + bytes([whole[-1] ^ 1])):
        kept.write_bytes(damaged)
        assert dataset.read("train").fingerprint() == first
        assert kept.read_bytes() == whole


def test_a_cache_that_cannot_be_written_is_no_error(cache: Path) -> None:
    cache.write_text("a file stands where the folder should be")
    dataset = Sentences(size=100)
    assert dataset.read("train").fingerprint() == dataset.read("train").fingerprint()


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    monkeypatch.setenv("DIME_CACHE", "/own")
    assert cache_folder() == Path("/own")
    monkeypatch.delenv("DIME_CACHE")
    assert cache_folder() == Path("/xdg/dimecli")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == tmp_path / ".cache" / "dimecli"


def test_the_grammar_s_notes_are_told(tmp_path: Path) -> None:
    path = file(tmp_path, AMBIGUOUS + "T -> 'c'\n", name="mine.cfg")
    notes = Sentences(grammar=str(path)).notes()
    assert set(Grammar.load(path).notes) <= set(notes)
    assert any("T" in note for note in notes)


def test_a_run_says_where_its_grammar_comes_from(tmp_path: Path) -> None:
    def origins(grammar: str) -> dict[str, dict[str, Any]]:
        objective, network = make("objective", "ae"), make("network", "character")
        experiment = Experiment(objective, Sentences(grammar=grammar), network, TrainSettings())
        assert experiment.label == f"ae-{Path(grammar).stem}"
        return experiment.origins()

    assert origins("rna")["grammar"]["class"] == "dimecli_grammars.rna:RNA"
    own = tmp_path / "mine.cfg"
    own.write_text("S -> 'a' | 'b'")
    assert "grammar" not in origins(str(own))
