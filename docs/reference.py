"""Writes a page for every plugin of dimecli, and an index: `python docs/reference.py`, before the site is built."""

from __future__ import annotations

import shutil
from pathlib import Path

from dimecli.cli.describe import description, markdown
from dimecli.plugin import KINDS
from dimecli.registry import registered

FOLDER = Path(__file__).with_name("reference")
HEAD = """# Every plugin

The plugins that come with `dime`, by their kind. Each has a page with what it does, its options with their defaults
and bounds, and its presets; `dime plugins show KIND NAME` prints the same, also of plugins that others have made.
"""


def write(folder: Path) -> None:
    """Replaces the folder by an index and `KIND/NAME.md` of every plugin."""
    shutil.rmtree(folder, ignore_errors=True)
    index = [HEAD]
    for kind in KINDS:
        (folder / kind).mkdir(parents=True)
        index.append(f"## {kind.capitalize()}\n\n| name | what it is |\n|---|---|")
        for entry in registered(kind):
            if entry.distribution == "dimecli":
                page = markdown(description(entry))
                (folder / kind / f"{entry.name}.md").write_text(page, encoding="utf-8")
                summary = entry.plugin.summary().replace("|", "\\|")
                index.append(f"| [`{entry.name}`]({kind}/{entry.name}.md) | {summary} |")
        index.append("")
    (folder / "index.md").write_text("\n".join(index), encoding="utf-8")


if __name__ == "__main__":
    write(FOLDER)
