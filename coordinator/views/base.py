"""What all views share: closed forms, JSON that every reader takes, equal bytes for equal views."""

from __future__ import annotations

import math
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict
from pydantic_core import PydanticSerializationError, to_jsonable_python


class View(BaseModel):
    """Something as people and programs read it.

    The text below a field is its description in the OpenAPI document.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    def to_json(self, *, indent: int | None = None) -> str:
        """Return the view as JSON, in the order of its fields."""
        return self.model_dump_json(indent=indent)


def _sorted_map(values: dict[str, Any]) -> dict[str, Any]:
    return dict(sorted(values.items()))


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


ByName = Annotated[dict[str, str], AfterValidator(_sorted_map)]
"""A map in the order of its keys."""

Figure = Annotated[float | None, BeforeValidator(_finite)]
"""A number; null when it is not known or has no bound, since JSON has no infinity."""

NumberByName = Annotated[dict[str, Figure], AfterValidator(_sorted_map)]


def to_jsonable(value: Any) -> Any:
    """Return a value that an agent made as JSON has it; what JSON has no form for, as `repr`."""
    try:
        return to_jsonable_python(
            value, fallback=_in_words, bytes_mode="base64", inf_nan_mode="null"
        )
    except (PydanticSerializationError, ValueError, RecursionError):
        return _in_words(value)


def _in_words(value: Any) -> str:
    try:
        return repr(value)
    except Exception:  # noqa: BLE001 (an agent's own `__repr__` may raise anything)
        return f"<{type(value).__name__}>"
