"""Tables of numbers from CSV files, and what is none."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dimecli.errors import UserError
from dimecli.search.table import read_table


def file(tmp_path: Path, content: str | bytes) -> Path:
    path = tmp_path / "mine.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(
    "content",
    [
        "a,b,y\n1,2,3\n4,5,-6e-1\n",
        "a,b,y\r\n1,2,3\r\n\r\n4,5,-.6",
        "\ufeff a , b ,y\n1,2,3\n4,5,-0.6\n\n\n",
        "a;b;y\n1;2;3\n4;5;-0.6\n",
        "a\tb\ty\n1\t2\t3\n4\t5\t-0.6\n",
        '"a",b,"y"\n"1",2,3\n4,5," -0.6"\n',
        "b,name,a,y\n2,anna,1,3\n5,berta,4,-0.6\n",
    ],
)
def test_columns_are_found_by_name(tmp_path: Path, content: str) -> None:
    inputs, target = read_table(file(tmp_path, content), ["a", "b"], None)
    assert inputs.tolist() == [[1, 4], [2, 5]]
    assert target.tolist() == [3, -0.6]


def test_the_target_may_be_any_column(tmp_path: Path) -> None:
    path = file(tmp_path, "y,a\n1,2\n")
    assert [part.tolist() for part in read_table(path, ["a"], "y")] == [[[2]], [1]]
    assert [part.tolist() for part in read_table(path, ["y"], None)] == [[[1]], [2]]
    assert read_table(path, [], None)[0].shape == (0, 1)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", ":1: must name the columns"),
        ("x,y\n", ": has no rows below its header"),
        ("x,y\n\n", ": has no rows below its header"),
        ("1,2\n3,4\n", ":1: no column named 'x'"),
        ("X1,y\n1,2\n", ":1: no column named 'x', a variable of the grammar. Known: X1, y."),
        ("x,x,y\n1,2,3\n", ":1: two columns are named 'x'"),
        ("y,x\n1,2\n", ":1: column 'x' is the target"),
        ("x,y\n1,2\n1\n", ":3: 1 columns where the header has 2"),
        ("x,y\n1,2,3\n", ":2: 3 columns where the header has 2"),
        ("x,y\n1,2\n\n1,\n", ":4: 'y' is ''; allowed: finite numbers"),
        ("x,y\n1,nan\n", ":2: 'y' is 'nan'; allowed: finite numbers"),
        ("x,y\ninf,1\n", ":2: 'x' is 'inf'; allowed: finite numbers"),
        ("x;y\n1,5;2\n", ":2: 'x' is '1,5'; allowed: finite numbers such as -1.5"),
        ("x,y\none,2\n", ":2: 'x' is 'one'"),
        ('x,y\n1,"2\n', ":3: is no CSV (unexpected end of data)"),
        (b"x,y\n1,\xff\n", ":2: must be UTF-8 text, got the byte 0xff"),
    ],
)
def test_mistakes_are_told_with_their_line(tmp_path: Path, content: str | bytes, says: str) -> None:
    path = file(tmp_path, content)
    with pytest.raises(UserError, match=re.escape(f"--data {path}{says}")):
        read_table(path, ["x"], None)


def test_a_file_or_column_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"--data .*none\.csv: cannot be read \(No such file or directory\)"):
        read_table(tmp_path / "none.csv", ["x"], None)
    with pytest.raises(UserError, match=r"--column z: --data .*mine\.csv:1 has no such column.* Known: x, y"):
        read_table(file(tmp_path, "x,y\n1,2\n"), ["x"], "z")
