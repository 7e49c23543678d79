"""What `run.json` must have before anything relies on it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Discriminator, Field, PositiveInt, Tag, ValidationError, model_validator

from dimecli.data.sentences import Sentences
from dimecli.data.spec import Spec
from dimecli.errors import DimeError

Record = dict[str, Any]
_Seconds = Annotated[float, Field(ge=0, lt=1e12)]


class _Table(BaseModel):
    model_config = ConfigDict(strict=True, allow_inf_nan=False)


class _Choice(_Table):
    name: str


class _Config(_Table):
    objective: _Choice
    dataset: _Choice
    network: _Choice
    train: dict[str, Any]
    tracker: _Choice | None = None  # names, with commas between


class _Distributed(_Table):
    distribution: str
    version: str


class _Loose(_Table):
    file: str
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


_TAGS = ("<distribution>", "<file>")
_Origin = Annotated[
    Annotated[_Distributed, Tag(_TAGS[0])] | Annotated[_Loose, Tag(_TAGS[1])],
    Discriminator(lambda origin: _TAGS[isinstance(origin, dict) and "file" in origin]),
]


class _Origins(_Table):
    model_config = ConfigDict(extra="allow")  # the trackers, and the grammar
    __pydantic_extra__: dict[str, _Origin]

    objective: _Origin
    dataset: _Origin
    network: _Origin


class _Spec(Spec):
    shape: Annotated[tuple[PositiveInt, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _suits_its_modality(self) -> Self:
        if self.modality == "image" and len(self.shape) != 3:
            raise ValueError(f"an image has a shape (C, H, W), got {self.shape}")
        if self.modality == "sentence" and len(self.shape) != 1:
            raise ValueError(f"a sentence has a shape (T,), got {self.shape}")
        if (self.modality == "sentence") != isinstance(self.likelihood, Sentences):
            raise ValueError(f"the likelihood '{self.likelihood.name}' is not one of {self.modality}s")
        return self


class _Fingerprints(_Table):
    train: str
    validation: str


class _Data(_Table):
    fingerprints: _Fingerprints


class _Machine(_Table):
    threads: int = Field(ge=1, lt=2**16)


class _Results(_Table):
    seconds: _Seconds
    terms: dict[str, float]
    gradient_share: dict[str, float]


class _Run(_Table):
    run: str
    state: Literal["running", "interrupted", "failed", "finished"]
    created: str
    error: str | None = None
    config: _Config
    plugins: _Origins
    spec: _Spec
    data: _Data
    machine: _Machine


class _Finished(_Run):
    weights: str
    results: _Results


def check(record: Record, file: Path) -> None:
    """Make sure that a record has all that a run of its state must have.

    Raises:
        DimeError: it has not; the message names the first key that is missing or wrong.
    """
    try:
        (_Finished if record.get("state") == "finished" else _Run).model_validate(record)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"] if part not in _TAGS)
        raise DimeError(f"{file} is damaged: '{key}': {first['msg']}") from error
