"""The grammar; its text is where.cfg, the file beside this one."""

from __future__ import annotations

from dimecli.plugin import Language


class Where(Language):
    """Conditions of SQL on a table of goods: AND, OR and NOT of comparisons."""

    source = "pcfg"
    problem = "f1"
