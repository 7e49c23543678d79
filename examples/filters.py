"""A problem of your own for a grammar of your own: which filter finds the goods that were sold?

    dime bo --grammar examples/filters.cfg --problem examples/filters.py:f1

`dime` calls the function with a sentence of the grammar and maximises what it returns.
"""

from __future__ import annotations

import random
import re
import sqlite3
from functools import cache

COLUMNS = "price, weight, colour, size, in_stock, sold"


@cache
def goods() -> sqlite3.Connection:
    """A table of 500 goods; cheap red ones are sold, and light ones that are not small."""
    rng = random.Random(0)
    table = sqlite3.connect(":memory:")
    table.execute(f"CREATE TABLE goods ({COLUMNS})")
    for _ in range(500):
        price, weight = rng.randrange(120), rng.randrange(120)
        colour, size = rng.choice(("red", "green", "blue")), rng.choice(("small", "medium", "large"))
        in_stock = rng.random() < 0.7
        sold = (price < 50 and colour == "red") or (weight < 20 and size != "small")
        table.execute("INSERT INTO goods VALUES (?, ?, ?, ?, ?, ?)", (price, weight, colour, size, in_stock, sold))
    return table


def f1(sentence: str) -> float:
    """The filter's F1 score between 0 and 1: the harmonic mean of precision and recall."""
    condition = re.sub(r"= (\w+)", r"= '\1'", sentence.replace("in stock", "in_stock"))
    query = f"SELECT SUM(found AND sold), SUM(found), SUM(sold) FROM (SELECT {condition} AS found, sold FROM goods)"
    right, found, sold = goods().execute(query).fetchone()
    return float(2 * right / (found + sold))
