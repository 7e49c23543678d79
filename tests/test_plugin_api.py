"""What plugins rely on does not change unseen."""

from __future__ import annotations

import difflib
import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

DOCS = Path(__file__).parents[1] / "docs"


@pytest.fixture(scope="module")
def plugin_api() -> ModuleType:
    spec = importlib.util.spec_from_file_location("plugin_api", DOCS / "plugin_api.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_listed_names_are_those_of_the_code(plugin_api: ModuleType) -> None:
    page = (DOCS / "compatibility.md").read_text(encoding="utf-8")
    changes = difflib.unified_diff(page.splitlines(), plugin_api.written(page).splitlines(), "page", "code", n=0)
    told = "\n".join(changes)
    assert not told, (
        f"this changes plugin API {plugin_api.API}:\n{told}\n"
        "only additions with a default may be made: then run python docs/plugin_api.py. "
        "Anything else needs a deprecation first, and then another number (dimecli.plugin.API)"
    )


@pytest.mark.parametrize(
    "line",
    [
        "class Objective(Plugin)",
        "    abstract loss(self, model: Any, x: torch.Tensor, rng: torch.Generator) -> Loss",
        "    latent_space: ClassVar[LatentSpace] = 'euclidean'",
        "    property players -> Mapping[str, float]",
        "gather(x: torch.Tensor) -> torch.Tensor",
        "make(kind: str, name: str, **options: object) -> Any",
    ],
)
def test_signatures_and_defaults_are_listed(plugin_api: ModuleType, line: str) -> None:
    assert line in plugin_api.listed().splitlines()


def test_nothing_in_the_list_depends_on_the_process(plugin_api: ModuleType) -> None:
    assert " at 0x" not in plugin_api.listed()
    assert str(DOCS.parent) not in plugin_api.listed()
