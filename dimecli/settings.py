"""The base of everything that has options: frozen, checked, told apart from what is learned."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """Frozen options with bounds; unknown names, NaN and infinity are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, populate_by_name=True)

    def options(self) -> dict[str, Any]:
        """The options under the names that users type (`lambda`, not `lam`), as JSON values, paths absolute."""
        values = self.model_dump(mode="json")
        values |= {name: str(value.absolute()) for name, value in self if isinstance(value, Path)}
        return {str(field.validation_alias or name): values[name] for name, field in type(self).model_fields.items()}
