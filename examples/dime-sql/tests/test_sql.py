"""The grammar and the problem keep the contract; conditions find rows, and can do nothing else."""

import sqlite3
from pathlib import Path

import pytest
from dime_sql.f1 import F1
from dime_sql.table import goods, read
from dime_sql.where import Where

from dimecli.errors import UserError
from dimecli.plugin import Outcome
from dimecli.registry import make
from dimecli.testing import check_plugin

RIGHT = "price < 50 AND colour = 'red' OR weight < 20 AND NOT size = 'small'"


@pytest.mark.parametrize(("kind", "name"), [("grammar", "where"), ("problem", "f1")])
def test_contract(kind: str, name: str) -> None:
    assert check_plugin(kind, name) is None


def test_the_score_is_the_harmonic_mean_of_precision_and_recall() -> None:
    red, everything, nothing, right = F1().evaluate(
        ["colour = 'red'", "price < 100 OR NOT price < 100", "price < 10 AND price > 100", RIGHT], Where()
    )
    table = goods()
    found, wanted = table.found("colour = 'red'"), table.wanted
    precision, recall = len(found & wanted) / len(found), len(found & wanted) / len(wanted)
    assert red == pytest.approx(2 / (1 / precision + 1 / recall))
    assert everything == pytest.approx(2 * len(wanted) / (500 + len(wanted)))
    assert nothing == 0
    assert right == 1 == F1().optimum


@pytest.mark.parametrize(
    "condition",
    [
        "load_extension('x')",
        "1; DROP TABLE data",
        "1 UNION SELECT name FROM sqlite_master; ATTACH 'x' AS y",
        "writefile('x', 'y')",
        "EXISTS (SELECT 1 FROM pragma_database_list)",
    ],
)
def test_a_condition_can_read_rows_and_nothing_else(condition: str) -> None:
    table = goods()
    with pytest.raises(sqlite3.Error):
        table.found(condition)
    assert len(table.found("1")) == 500
    (outcome,) = F1().evaluate([condition], Where())
    assert isinstance(outcome, Outcome)
    assert outcome.value is None


def test_a_condition_that_takes_too_long_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dime_sql.table._MOST_STEPS", 100_000)
    with pytest.raises(sqlite3.Error, match="interrupted"):
        goods().found("EXISTS (SELECT 1 FROM data a, data b, data c WHERE a.price + b.price + c.price < 0)")


def write(folder: Path, text: str) -> Path:
    (folder / "table.csv").write_text(text)
    return folder / "table.csv"


def test_a_table_of_your_own_with_a_grammar_of_your_own(tmp_path: Path) -> None:
    table = write(tmp_path, "age,name,bought\n20,Ann,1\n30,Bob,no\n,Cid,\n40,Dan,yes\n")
    grammar = tmp_path / "ages.cfg"
    grammar.write_text("%start S\nS -> 'age < 30' | 'age > 10'\n")
    language = make("dataset", "sentences", grammar=str(grammar)).language
    problem = F1(table=table, label="bought")
    problem.check(language)
    assert problem.evaluate(["age < 30", "age > 10"], language) == [2 / 3, 4 / 5]
    assert read(table, "bought").found("age IS NULL AND name LIKE 'c%'") == {3}
    with pytest.raises(UserError, match="the grammar does not suit the table: no such column: colour in"):
        F1(table=table, label="bought").check(Where())
    with pytest.raises(sqlite3.Error, match="no such column: bought"):
        read(table, "bought").found("bought")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,label\n1,perhaps\n", "table.csv:2: 'label' is 'perhaps'"),
        ("a,label\n1,1,1\n", "table.csv:2: 3 cells; allowed: 2"),
        ("a,labels\n1,1\n", "--label label: .* Did you mean 'labels'"),
        ("a,label\n1,0\n", "'label' is true in no row"),
        ("a,A,label\n1,1,1\n", "two columns have the same name"),
        ("", "is empty"),
    ],
)
def test_mistakes_are_told(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        F1(table=write(tmp_path, text)).check(Where())


def test_a_missing_table_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"gone\.csv: cannot be read"):
        F1(table=tmp_path / "gone.csv").check(Where())
