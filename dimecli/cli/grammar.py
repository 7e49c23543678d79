"""`dime grammar`: checks, shows, samples and converts grammars, and parses their sentences."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from dimecli.cli.common import AsJson, print_json, print_lines, print_table
from dimecli.cli.options import completer
from dimecli.console import Reporter, printable
from dimecli.errors import UserError
from dimecli.grammar.languages import find_language
from dimecli.registry import names

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dimecli.grammar import Grammar

app = typer.Typer()

_LENGTHS = 20  # rows in the table of counts
_DIGITS = 15  # of a count that is written out
_TREE = 20  # productions in the tree, if there are sentences so short


def complete_grammar(incomplete: str) -> list[str]:
    """What a shell offers for a grammar: the installed ones."""
    return completer(names("grammar"))(incomplete)


Name = Annotated[
    str, typer.Argument(metavar="GRAMMAR", help="Name of a grammar, or a file.", autocompletion=complete_grammar)
]
MaxLength = Annotated[
    int | None, typer.Option(help="Productions in the longest derivation; default: what the grammar says.")
]
Count = Annotated[int, typer.Option("-n", "--count", min=1, help="Sentences to draw.")]
By = Annotated[
    Literal["pcfg", "uniform", "length"],
    typer.Option(help="By the productions' weights, all derivations alike, or all lengths alike."),
]
Seed = Annotated[int, typer.Option(min=0, help="Seed of the draws.")]
Sentence = Annotated[str | None, typer.Argument(help="The sentence. [dim]\\[default: the lines of stdin][/dim]")]
AsTree = Annotated[bool, typer.Option("--tree", help="Print derivation trees instead of production ids.")]
File = Annotated[Path, typer.Argument(help="The file; its ending says the notation: .bnf .ebnf .gbnf .lark .cfg")]
Output = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="FILE", dir_okay=False, help="Write there, a .cfg, not to stdout."),
]


@app.command()
def check(grammar: Name, max_length: MaxLength = None, json: AsJson = False) -> None:
    """Check a grammar; exit with 1 if something is found that needs mending."""
    from dimecli.grammar.check import check as findings_of

    compiled = _compile(grammar, max_length)
    findings = findings_of(compiled)
    if json:
        print_json({"grammar": grammar, "notes": list(compiled.notes), "findings": findings})
    else:
        print_lines([*(f"note: {note}" for note in compiled.notes), *findings])
        reporter = Reporter()
        reporter.say(f"{grammar}: {_describe(compiled)}; to mend: {len(findings) or 'nothing'}")
        if not findings:
            reporter.say(f"Next: dime train --grammar {shlex.quote(grammar)}")
    raise typer.Exit(1 if findings else 0)


@app.command()
def show(grammar: Name, max_length: MaxLength = None, seed: Seed = 0, json: AsJson = False) -> None:
    """Show a grammar: its productions, how many sentences it has, and the tree of one of them."""
    from dimecli.lazy import np

    compiled = _compile(grammar, max_length)
    counts = {length: count for length, count in enumerate(compiled.counts[compiled.start]) if count}
    rows = [
        {"id": number, "production": str(rule), "weight": weight, "shortest": 1 + owed}
        for number, (rule, weight, owed) in enumerate(
            zip(compiled.productions, compiled.weights.tolist(), compiled.owed.tolist(), strict=True)
        )
    ]
    if json:
        method, fingerprint = compiled.parser.method, compiled.fingerprint
        about = {"grammar": grammar, "max_length": compiled.max_len, "parser": method, "fingerprint": fingerprint}
        print_json({**about, "productions": rows, "counts": counts})
        return
    print(f"{grammar}: {_describe(compiled)}\n")
    cells = ((str(row["id"]), f"{row['weight']:.3g}", str(row["shortest"]), row["production"]) for row in rows)
    print_table(("id", "weight", "shortest", "production"), cells)
    print()
    print_table(("length", "derivations"), _counts(counts))
    length = max((length for length in counts if length <= _TREE), default=min(counts))
    derivation = compiled.sampler("uniform").of_lengths(np.array([length]), np.random.default_rng(seed))[0]
    print(f"\n{printable(compiled.unparse(derivation))}")
    _print_tree(compiled, derivation)


@app.command()
def sample(
    grammar: Name,
    count: Count = 10,
    by: By = "length",
    seed: Seed = 0,
    max_length: MaxLength = None,
    json: AsJson = False,
) -> None:
    """Draw sentences from a grammar, exactly, with replacement."""
    from dimecli.lazy import np

    compiled = _compile(grammar, max_length)
    ids = compiled.sample(count, np.random.default_rng(seed), by)
    sentences = [str(text) for text in compiled.unparse_all(ids)]
    if json:
        print_json({"grammar": grammar, "by": by, "n": count, "sentences": sentences})
    else:
        print_lines(sentences)


@app.command()
def parse(
    grammar: Name,
    sentence: Sentence = None,
    tree: AsTree = False,
    max_length: MaxLength = None,
    json: AsJson = False,
) -> None:
    """Parse a sentence, or each line of stdin; print production ids. Exit with 1 if one is no sentence."""
    compiled = _compile(grammar, max_length)
    lines = {1: sentence} if sentence is not None else _stdin()
    ids, wrong = compiled.parse_all(list(lines.values()))
    results: list[dict[str, Any]] = []
    for row, (number, line) in enumerate(lines.items()):
        if row in wrong:
            results.append({"line": number, "sentence": line, "error": wrong[row]})
            typer.secho(f"line {number}: " * (sentence is None) + wrong[row], fg="red", err=True)
            continue
        derivation = ids[row]
        productions = derivation[derivation != compiled.pad].tolist()
        results.append({"line": number, "sentence": line, "productions": productions})
        if tree and not json:
            _print_tree(compiled, derivation)
        elif not json:
            print(*productions)
    if json:
        print_json(results)
    raise typer.Exit(1 if wrong else 0)


@app.command()
def convert(file: File, output: Output = None) -> None:
    """Convert a grammar from BNF, EBNF, GBNF or lark to nltk's notation."""
    from dimecli.grammar.importers import notation_of, read_foreign
    from dimecli.grammar.text import read_file, write_text
    from dimecli.run.files import write_atomic

    if output is not None and (output.suffix != ".cfg" or output.resolve() == file.resolve()):
        raise UserError(f"--output {output}: must be another file, whose name ends in .cfg, as nltk's notation does")
    rules = read_foreign(read_file(file), str(file), notation_of(file))
    reporter = Reporter()
    for note in rules.notes:
        reporter.say(f"note: {note}")
    if output is None:
        print(write_text(rules), end="")
    else:
        write_atomic(output, lambda temporary: temporary.write_text(write_text(rules), encoding="utf-8"))
        reporter.say(f"Wrote {output}. Next: dime grammar check {shlex.quote(str(output))}")


def _compile(name: str, max_length: int | None) -> Grammar:
    return find_language(name, max_length).compile()


def _stdin() -> dict[int, str]:
    """The lines of stdin that are not blank, by number."""
    from dimecli.data.sentences import text_lines

    lines = text_lines(sys.stdin.buffer.read(), "stdin")
    return {number: line for number, line in enumerate(lines, 1) if line.strip()}


def _describe(grammar: Grammar) -> str:
    return (
        f"productions {len(grammar.productions)}, nonterminals {len(grammar.nonterminals)}, "
        f"terminals {len(grammar.terminals)}, maximum length {grammar.max_len}, parser {grammar.parser.method}"
    )


def _counts(counts: dict[int, int]) -> Sequence[tuple[str, str]]:
    rows = [(str(length), _number(count)) for length, count in counts.items()]
    if len(rows) > _LENGTHS:
        rows = [*rows[: _LENGTHS - 2], ("...", "..."), rows[-1]]
    return [*rows, ("total", _number(sum(counts.values())))]


def _number(count: int) -> str:
    return f"{count:,}" if count < 10**_DIGITS else f"{Decimal(count):.3e}"


def _print_tree(grammar: Grammar, ids: NDArray[Any]) -> None:
    """Prints a derivation tree, however deep; of a terminal in quotes what a terminal would obey is escaped."""
    from dimecli.grammar.rules import quoted
    from dimecli.grammar.unparse import Tree, tree

    waiting: list[tuple[str, str, Tree | str]] = [("", "", tree(grammar, ids))]
    while waiting:
        start, below, node = waiting.pop()
        if isinstance(node, str):
            print(start + printable(quoted(node)))
            continue
        print(start + node.label)
        branches = [("├── ", "│   ")] * (len(node.children) - 1) + [("└── ", "    ")]
        grown = [
            (below + knot, below + line, child) for (knot, line), child in zip(branches, node.children, strict=False)
        ]
        waiting += reversed(grown)
