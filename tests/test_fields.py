from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field

from dimecli.fields import form_of, options_of, show
from dimecli.settings import Settings


class Every(Settings):
    flag: bool = Field(True, description="A flag.")
    count: int = Field(3, ge=1, lt=2**63, description="A count.")
    rate: float | None = Field(None, gt=0, le=0.5, description="A rate.")
    maybe: bool | None = Field(None, description="Perhaps.")
    lam: float = Field(1.0, validation_alias="lambda", description="A weight.")
    keep: Literal["best", "last"] = Field("best", description="What to keep.")
    bits: Literal[16, 32] = Field(32, description="Bits.")
    path: Path = Field(Path("data"), description="A folder.")
    widths: tuple[Annotated[int, Field(ge=1)], ...] = Field((8, 4), max_length=3, description="Widths.")
    betas: tuple[float, float] = Field((0.9, 0.999), description="Two.")
    words: list[str] | None = Field(None, description="Words.")


FORMS = {key: form_of(field) for key, field in options_of(Every).items()}


def test_options_have_the_names_that_users_type() -> None:
    assert "lambda" in FORMS
    assert "lam" not in FORMS
    assert list(FORMS) == list(Every().options())


@pytest.mark.parametrize(
    ("key", "label", "bounds"),
    [
        ("flag", "bool", ()),
        ("count", "int", (">= 1", "< 2^63")),
        ("rate", "float|none", ("> 0", "<= 0.5")),
        ("maybe", "bool", ()),
        ("lambda", "float", ()),
        ("keep", "best|last", ()),
        ("bits", "16|32", ()),
        ("path", "path", ()),
        ("widths", "int,int,...", ("at most 3", "each >= 1")),
        ("betas", "float,float,...", ()),
        ("words", "str,str,...|none", ()),
    ],
)
def test_forms_in_words(key: str, label: str, bounds: tuple[str, ...]) -> None:
    assert FORMS[key].label == label
    assert FORMS[key].bounds == bounds


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("count", "7", 7),
        ("rate", "none", None),
        ("rate", "1e-3", 1e-3),
        ("keep", "last", "last"),
        ("bits", "16", 16),
        ("path", "none", Path("none")),
        ("widths", "512, 256", (512, 256)),
        ("widths", "", ()),
        ("betas", "0.5,0.9", (0.5, 0.9)),
        ("words", "a,b", ["a", "b"]),
    ],
)
def test_text_becomes_the_value_and_is_shown_as_typed(key: str, text: str, value: Any) -> None:
    read = Every.model_validate({key: FORMS[key].parse(text)})
    assert getattr(read, key) == value
    assert Every.model_validate({key: FORMS[key].parse(show(value))}) == read


@pytest.mark.parametrize(
    ("value", "text"), [(True, "true"), (None, "none"), (2.0, "2"), (1e-4, "0.0001"), ((5, 6), "5,6"), (Path("a"), "a")]
)
def test_show(value: Any, text: str) -> None:
    assert show(value) == text


@pytest.mark.parametrize("annotation", [dict[str, int], int | str, tuple[int, str], list[list[int]], complex, Any])
def test_a_type_without_a_form_is_refused(annotation: Any) -> None:
    bad: Any = type("Bad", (Settings,), {"__annotations__": {"x": annotation}, "x": None})
    with pytest.raises(TypeError, match="has no form on a command line; use bool, int, float"):
        form_of(bad.model_fields["x"])


def test_an_option_needs_a_default() -> None:
    class Bad(Settings):
        x: int

    with pytest.raises(TypeError, match="has no default"):
        form_of(Bad.model_fields["x"])
