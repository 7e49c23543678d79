"""The README is true: its table, its commands, its plugin."""

import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dimecli.api import train
from dimecli.plugin import KINDS
from dimecli.registry import registered

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
DRY = (
    "train",
    "bo",
    "sample",
    "evaluate",
    "classify",
    "reconstruct",
    "interpolate",
    "traverse",
    "embed",
    "nearest",
    "report",
)
COMMANDS = sorted(
    {line.partition("#")[0].strip() for line in README.splitlines() if re.match(f"dime ({'|'.join(DRY)})( |$)", line)}
)


MINE = """
from dimecli.plugin import Objective

def score(sentence):
    return len(sentence)

class SparseCodes(Objective):
    'Sparse.'
    def loss(self, model, x, rng): ...
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("readme") / "runs"
    train("ae", "digits", runs=folder, epochs=1)
    return folder


def test_the_table_lists_every_built_in_plugin() -> None:
    rows = re.findall(r"^\| (\w+) \| `([\w-]+)` \| (.+) \|$", README, flags=re.MULTILINE)
    entries = [entry for kind in KINDS for entry in registered(kind) if entry.distribution == "dimecli"]
    assert rows == [(entry.kind, entry.name, entry.plugin.summary().replace("|", r"\|")) for entry in entries]


@pytest.mark.parametrize("command", [line for line in COMMANDS if "--resume" not in line])
def test_commands_are_understood(command: str, dime: Callable[..., Any], tmp_path: Path, runs: Path) -> None:
    toml = re.search(r"```toml\n(\[objective\].+?)```", README, flags=re.DOTALL)
    assert toml is not None
    (tmp_path / "experiment.toml").write_text(toml[1])
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    (tmp_path / "mine.csv").write_text("x,y\n1,2\n")
    (tmp_path / "mine.py").write_text(MINE)
    (tmp_path / "score.sh").touch(0o755)
    (tmp_path / "runs").symlink_to(runs)
    words = [word for word in shlex.split(command)[1:] if word != "--dry-run"]
    ran = dime(*words, "--dry-run")
    assert ran.code == 0, ran.err


def test_the_plugin_is_the_example_s() -> None:
    code = re.search(r"```python\n(from pydantic.+?)```", README, flags=re.DOTALL)
    assert code is not None
    assert (ROOT / "examples" / "dime-hello" / "dime_hello.py").read_text(encoding="utf-8").endswith(code[1])


def test_the_grammar_does_what_is_said() -> None:
    code = re.search(r"```python\n(import torch\n\nfrom dimecli.grammar.+?)```", README, flags=re.DOTALL)
    assert code is not None
    names: dict[str, Any] = {}
    exec(code[1], names)
    assert names["grammar"].unparse(names["ids"]) == "x+sin(x+1)"
    assert None not in names["sentences"]


def test_every_path_exists() -> None:
    linked = re.findall(r"\]\((?!http)([^)]+)\)", README)
    assert linked
    for path in linked:
        assert (ROOT / path).exists(), path
