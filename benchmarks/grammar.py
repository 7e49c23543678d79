"""Speed of grammars: sampling, parsing, decoding, evaluation and training, beside nltk, lark and loops by hand.

    pip install -e '.[benchmark]'
    python benchmarks/grammar.py                              # CPU, one thread
    python benchmarks/grammar.py --device cuda                # decodes a million sequences, trains both networks
    python benchmarks/grammar.py --sections parse --repeats 5

All systems of one task get the same items, and take turns in one process, so that load on the machine
meets all alike: compare within one run only. Rates are items per second, medians over the repeats, of the
wall clock and of the processor. What every system gives is compared with the others' before anything is
timed. A slow system gets the first few of the items.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import re
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dimecli.grammar import Grammar
from dimecli.grammar.evaluate import evaluate
from dimecli.grammar.rules import Nonterminal
from dimecli.machine import describe
from dimecli.registry import make

MAX_LEN = {"expressions": 15, "smiles": 277}  # as GrammarVAE has them
SMILES_LEN = 60  # productions: sentences of about 44 characters


@dataclass(frozen=True)
class System:
    """Something that does a task: `run` does all of `items` items."""

    name: str
    items: int
    run: Callable[[], Any]


def main() -> None:
    """Measures the sections that the command line asks for, prints a table and writes the result file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--sections", nargs="+", choices=list(SECTIONS), default=None)
    parser.add_argument("--output", type=Path, help="result file (default: benchmarks/results/grammar-DEVICE.json)")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    device = torch.device(options.device)
    output = options.output or Path(__file__).parent / "results" / f"grammar-{options.device}.json"
    sections = options.sections or (list(SECTIONS) if device.type == "cpu" else ["decode", "evaluate", "train"])
    rows: list[dict[str, Any]] = []
    for section in sections:
        for task, systems in SECTIONS[section](device):
            rows += [
                {"section": section, "task": task, **row} for row in compare(task, systems, options.repeats, device)
            ]
    machine = describe(device) | {"processor_name": processor()} | versions()
    conditions = {"threads": options.threads, "repeats": options.repeats, "load": os.getloadavg()[1]}
    output.parent.mkdir(exist_ok=True)
    output.write_text(json.dumps({"machine": machine, "conditions": conditions, "rows": rows}, indent=2) + "\n")
    print(f"wrote {output}")


def compare(task: str, systems: Sequence[System], repeats: int, device: torch.device) -> list[dict[str, Any]]:
    """A row per system: median rates over repeats in which the systems took turns, after one that does not count."""
    wall: dict[str, list[float]] = {system.name: [] for system in systems}
    processor_time: dict[str, list[float]] = {system.name: [] for system in systems}
    peak = dict.fromkeys(wall, math.nan)
    for repeat in range(repeats + 1):
        for system in systems:
            if device.type == "cuda":
                torch.cuda.reset_peak_memory_stats()
            started, started_processor = time.perf_counter(), time.process_time()
            system.run()
            if device.type == "cuda":
                torch.cuda.synchronize()
                peak[system.name] = torch.cuda.max_memory_allocated() / 2**20
            if repeat:
                wall[system.name].append(system.items / (time.perf_counter() - started))
                processor_time[system.name].append(system.items / (time.process_time() - started_processor))
    rows = []
    for system in systems:
        rate = statistics.median(wall[system.name])
        row = {"system": system.name, "items": system.items, "rate": rate}
        row["rate_per_cpu_second"] = statistics.median(processor_time[system.name])
        if device.type == "cuda":
            row["peak_mb"] = peak[system.name]
        rows.append(row)
        print(f"{task:44} {system.name:26} {rate:12,.0f}/s  {row['rate_per_cpu_second']:12,.0f}/CPU s", flush=True)
    return rows


Tasks = Sequence[tuple[str, Sequence[System]]]


def sample(device: torch.device) -> Tasks:
    """Sampling derivations within the maximum length; by hand, what becomes too long is thrown away."""
    expressions, smiles = language("expressions"), language("smiles")
    rng = np.random.default_rng(0)
    by_hand = partial(nltk_samples, expressions, nltk_grammar(expressions), 2_000, random.Random(0))
    tasks = [
        (f"{name}, T = {grammar.max_len}, {by}", [System("dimecli", n, partial(grammar.sample, n, rng, by))])
        for name, grammar, n in (("expressions", expressions, 100_000), ("SMILES", smiles, 2_000))
        for by in ("pcfg", "uniform", "length")
    ]
    tasks[0][1].append(System("nltk's grammar by hand", 2_000, by_hand))
    tables = System("dimecli", 1, lambda: language("smiles").sampler("pcfg"))
    return [*tasks, ("SMILES, T = 277, tables to sample from", [tables])]


def parse(device: torch.device) -> Tasks:
    """Parsing sentences to the ids of their productions."""
    tasks = []
    expressions, smiles = language("expressions"), language("smiles")
    molecules = smiles.sampler("pcfg").of_lengths(np.full(1_000, SMILES_LEN), np.random.default_rng(0))
    for name, grammar, sentences, few, fewer in (
        ("expressions", expressions, published_expressions(20_000), 2_000, 200),
        ("SMILES", smiles, [str(sentence) for sentence in smiles.unparse_all(molecules)], 100, 4),
    ):
        parsers: dict[str, tuple[int, Parser]] = {
            "dimecli": (len(sentences), grammar.parse_all),
            "lark LALR": (few, lark_parser(grammar, "lalr")),
            "lark Earley": (fewer, lark_parser(grammar, "earley")),
            "nltk ChartParser": (fewer, nltk_parser(grammar)),
        }
        ids = grammar.parse_all(sentences)[0]
        systems = []
        for system, (items, parser) in parsers.items():
            wrong = int((parser(sentences[:items])[0] != ids[:items]).any(1).sum())
            told = f"{system} ({wrong} of {items} wrong)" if wrong else system
            systems.append(System(told, items, partial(parser, sentences[:items])))
        length, productions = statistics.mean(map(len, sentences)), (ids != grammar.pad).sum(1).mean()
        tasks.append((f"{name} of {length:.0f} characters, {productions:.0f} productions", systems))
    return tasks


def decode(device: torch.device) -> Tasks:
    """Decoding logits that lean towards sentences of all lengths; by hand as GrammarVAE does, without reserve rule."""
    tasks = []
    for name, batch in [
        ("expressions", 1_000),
        ("smiles", 1_000),
        *[("expressions", 1_000_000)] * (device.type == "cuda"),
    ]:
        grammar = language(name)
        rng = torch.Generator(device).manual_seed(0)
        ids = torch.from_numpy(grammar.sample(batch, np.random.default_rng(0), "length")).to(device).long()
        logits = torch.randn(*ids.shape, grammar.pad + 1, generator=rng, device=device)
        logits.scatter_add_(2, ids[..., None], torch.full_like(logits[..., :1], 5.0))
        systems = [
            System("dimecli", batch, partial(grammar.decode, logits)),
            System("dimecli, drawn", batch, partial(grammar.decode, logits, rng)),
            System("dimecli, no reserve", batch, partial(grammar.decode, logits, reserve=False)),
        ]
        if device.type == "cpu":
            by_hand = partial(decode_by_hand, grammar, logits)
            assert torch.equal(grammar.decode(logits, reserve=False).ids, torch.from_numpy(by_hand()))
            systems.append(System("stacks by hand, no reserve", batch, by_hand))
        tasks.append((f"{name}, T = {grammar.max_len}, batch {batch:,}", systems))
    return tasks


def evaluation(device: torch.device) -> Tasks:
    """Values of expressions on 1,000 points, read as strings; and as trees, beside lark's parser with numpy."""
    grammar, semantics = language("expressions"), make("grammar", "expressions").semantics()
    points = torch.linspace(-10, 10, 1_000, dtype=torch.float64, device=device)[None]
    tasks = []
    for told, ids in (
        ("drawn uniformly", grammar.sample(20_000, np.random.default_rng(0), "uniform")),
        ("published", grammar.parse_all(published_expressions(20_000))[0]),
    ):
        systems = [
            System(f"dimecli, {meaning}", len(ids), partial(evaluate, grammar, semantics, ids, points, meaning))
            for meaning in ("string", "tree")
        ]
        if device.type == "cpu":
            sentences = [str(sentence) for sentence in grammar.unparse_all(ids[:1_000])]
            by_lark = partial(lark_evaluator(grammar, points[0].numpy()), sentences)
            expected = evaluate(grammar, semantics, ids[:1_000], points, "tree").numpy()
            same = np.isclose(np.stack(by_lark()), expected, rtol=1e-6, equal_nan=True)
            assert same.mean() > 0.99  # not all: sin(exp(exp(x))) makes anything of the last bit of its argument
            systems.append(System("lark LALR with numpy, tree", len(sentences), by_lark))
        tasks.append((f"expressions {told}, 1,000 points", systems))
    return tasks


def train(device: torch.device) -> Tasks:
    """Steps of DIME with both networks on expressions."""
    batch, steps = 500, 100 if device.type == "cuda" else 4
    systems = []
    for name in ("grammar-conv-gru", "grammar-transformer"):
        network, objective = make("network", name), make("objective", "dime")
        samples = network.prepare(make("dataset", "sentences", size=2_000).read("train"))
        model = objective.build(samples.spec, network).to(device)
        systems.append(
            System(name, batch * steps, partial(steps_of, objective, model, samples.x[:batch].to(device), steps))
        )
    return [(f"trained on expressions, batch {batch}", systems)]


def steps_of(objective: Any, model: torch.nn.Module, x: torch.Tensor, steps: int) -> None:
    """Optimiser steps on one batch."""
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    rng = torch.Generator(x.device).manual_seed(0)
    for _ in range(steps):
        objective.loss(model, x, rng).total.backward()
        optimizer.step()
        optimizer.zero_grad()


SECTIONS: dict[str, Callable[[torch.device], Tasks]] = {
    "sample": sample,
    "parse": parse,
    "decode": decode,
    "evaluate": evaluation,
    "train": train,
}

Parser = Callable[[Sequence[str]], tuple[NDArray[np.int16], Any]]


def language(name: str) -> Grammar:
    """A bundled grammar, compiled anew."""
    grammar: Grammar = make("grammar", name, max_length=MAX_LEN[name]).compile()
    return grammar


def published_expressions(n: int) -> list[str]:
    """Rows of the data that GrammarVAE is published with."""
    rows = list(make("grammar", "expressions").sentences("gvae"))
    return random.Random(0).sample(rows, n)


def padded(grammar: Grammar, rows: Sequence[Sequence[int]]) -> NDArray[np.int16]:
    """`(n, T)` ids of n derivations."""
    return np.array([[*row, *[grammar.pad] * (grammar.max_len - len(row))] for row in rows], dtype=np.int16)


def lexer(grammar: Grammar) -> re.Pattern[str]:
    """Matches the longest terminal."""
    return re.compile("|".join(re.escape(t) for t in sorted(grammar.terminals, key=len, reverse=True)))


def nltk_grammar(grammar: Grammar) -> Any:
    """The same productions in nltk."""
    import nltk

    def side(symbols: Sequence[Nonterminal | str]) -> list[Any]:
        return [nltk.Nonterminal(str(symbol)) if isinstance(symbol, Nonterminal) else symbol for symbol in symbols]

    productions = [nltk.Production(*side([p.lhs]), side(p.rhs)) for p in grammar.productions]
    return nltk.CFG(productions[0].lhs(), productions)


def nltk_parser(grammar: Grammar) -> Parser:
    """The first tree of nltk's chart parser, as in GrammarVAE."""
    from nltk import ChartParser

    theirs, tokens = nltk_grammar(grammar), lexer(grammar)
    parser, number = ChartParser(theirs), {production: k for k, production in enumerate(theirs.productions())}

    def parse_all(sentences: Sequence[str]) -> tuple[NDArray[np.int16], None]:
        trees = [next(iter(parser.parse(tokens.findall(sentence)))) for sentence in sentences]
        return padded(grammar, [[number[production] for production in tree.productions()] for tree in trees]), None

    return parse_all


def nltk_samples(grammar: Grammar, theirs: Any, n: int, rng: random.Random) -> list[list[Any]]:
    """Derivations by rewriting nltk's symbols, each production of a nonterminal alike."""
    found: list[list[Any]] = []
    while len(found) < n:
        stack, productions = [theirs.start()], list[Any]()
        while stack and len(productions) < grammar.max_len:
            productions.append(rng.choice(theirs.productions(lhs=stack.pop())))
            stack += [symbol for symbol in reversed(productions[-1].rhs()) if not isinstance(symbol, str)]
        if not stack:
            found.append(productions)
    return found


def lark_grammar(grammar: Grammar, kind: str) -> Any:
    """The same productions in lark, with the ids as the names of the alternatives."""
    from lark import Lark

    def side(symbols: Sequence[Nonterminal | str]) -> str:
        names = (f"n{grammar.number[s.name]}" if isinstance(s, Nonterminal) else json.dumps(s) for s in symbols)
        return " ".join(names)

    rules = [
        f"n{number}: " + "\n  | ".join(f"{side(grammar.productions[p].rhs)} -> p{p}" for p in productions)
        for number, productions in enumerate(grammar.by_lhs)
    ]
    return Lark("\n".join(rules), start="n0", parser=kind)


def lark_parser(grammar: Grammar, kind: str) -> Parser:
    """Lark's tree, read from the top."""
    parser = lark_grammar(grammar, kind)

    def parse_all(sentences: Sequence[str]) -> tuple[NDArray[np.int16], None]:
        rows = []
        for sentence in sentences:
            stack, row = [parser.parse(sentence)], list[int]()
            while stack:
                tree = stack.pop()
                row.append(int(tree.data[1:]))
                stack += reversed(tree.children)
            rows.append(row)
        return padded(grammar, rows), None

    return parse_all


def lark_evaluator(grammar: Grammar, x: NDArray[np.float64]) -> Callable[[Sequence[str]], list[NDArray[np.float64]]]:
    """Values of expressions by lark's transformer over numpy arrays."""
    from lark import Transformer

    meaning: dict[Any, Callable[..., Any]] = {
        "+": np.add, "*": np.multiply, "/": np.divide, "sin(": np.sin, "exp(": np.exp, "x": lambda: x
    }  # fmt: skip
    meaning |= {str(number): partial(np.full_like, x, number) for number in (1, 2, 3)}
    functions = [
        next((meaning[symbol] for symbol in production.rhs if symbol in meaning), lambda value: value)
        for production in grammar.productions
    ]
    transformer: Any = Transformer()
    for p, function in enumerate(functions):
        setattr(transformer, f"p{p}", lambda children, function=function: function(*children))
    parser = lark_grammar(grammar, "lalr")

    def values(sentences: Sequence[str]) -> list[NDArray[np.float64]]:
        with np.errstate(all="ignore"):
            return [transformer.transform(parser.parse(sentence)) for sentence in sentences]

    return values


def decode_by_hand(grammar: Grammar, logits: torch.Tensor) -> NDArray[np.int64]:
    """A stack for each sequence, the best production of its top at each step."""
    ids = np.full(logits.shape[:2], grammar.pad)
    for row, steps in zip(ids, logits.numpy(), strict=True):
        stack = [grammar.start]
        for t, scores in enumerate(steps):
            if not stack:
                break
            row[t] = max(grammar.by_lhs[stack.pop()], key=scores.__getitem__)
            stack += reversed(grammar.children[row[t]])
    return ids


def versions() -> dict[str, str]:
    """Of the systems compared."""
    from importlib.metadata import version

    return {name: version(name) for name in ("numpy", "nltk", "lark")}


def processor() -> str:
    """The processor's name, where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return "unknown"


if __name__ == "__main__":
    main()
