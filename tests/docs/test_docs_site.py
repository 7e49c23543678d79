"""The site can be built: a page for every plugin, and no warning."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dimecli.plugin import KINDS
from dimecli.registry import registered

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    """The folder with the pages of all plugins."""
    copy = tmp_path / "docs"
    shutil.copytree(DOCS, copy, ignore=shutil.ignore_patterns("site", "reference", ".cache", "__pycache__"))
    subprocess.run([sys.executable, copy / "reference.py"], check=True)
    return copy


@pytest.mark.slow  # imports every plugin in a process of its own
def test_every_plugin_has_a_page(docs: Path) -> None:
    index = (docs / "reference" / "index.md").read_text(encoding="utf-8")
    for kind in KINDS:
        for entry in registered(kind):
            if entry.distribution == "dimecli":
                page = docs / "reference" / kind / f"{entry.name}.md"
                assert entry.plugin.summary() in page.read_text(encoding="utf-8")
                assert f"({kind}/{entry.name}.md)" in index
    for page in DOCS.glob("*.md"):
        for link in page.read_text(encoding="utf-8").split("](reference/")[1:]:
            assert (docs / "reference" / link.partition(")")[0]).is_file(), f"{page.name}: reference/{link[:40]}"


@pytest.mark.slow  # builds the site
def test_the_site_is_built_without_a_warning(docs: Path) -> None:
    pytest.importorskip("zensical")
    command = [sys.executable, "-m", "zensical", "build", "--strict", "-f", str(docs / "zensical.toml")]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    assert "No issues found" in built.stdout + built.stderr
    for page in DOCS.glob("*.md"):
        name = "index.html" if page.stem == "index" else f"{page.stem}/index.html"
        assert (docs / "site" / name).is_file()
    assert not list((docs / "site").rglob("*.py"))
