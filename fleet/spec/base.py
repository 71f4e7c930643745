"""What all models of the fleet's file share: strictness, and the named types of plain fields."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic.types import Strict

from rolewise.fleet.spec.values import Want

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"
NAME_WORDS = "a name of letters, digits, '.', '_' and '-', up to 63"
AGENT_PATTERN = r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$"
KIND_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]*@[1-9][0-9]{0,5}$"


class Model(BaseModel):
    """A block of the file: unknown keys are errors, and nothing is converted silently."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


Item = TypeVar("Item")

Listed = Annotated[tuple[Item, ...], Strict(strict=False), Want("a list")]
Name = Annotated[
    str,
    StringConstraints(pattern=NAME_PATTERN),
    Want(NAME_WORDS),
]
Named = Annotated[dict[Name, Item], Want("a mapping")]
AgentPath = Annotated[
    str, StringConstraints(pattern=AGENT_PATTERN), Want("an import path, 'package.module:name'")
]
Kind = Annotated[
    str, StringConstraints(pattern=KIND_PATTERN), Want("a message kind with its version, as rfq@1")
]
Text = Annotated[str, Want("text")]
Flag = Annotated[bool, Want("true or false")]
Whole = Annotated[int, Field(ge=0, le=10**9), Want("a whole number from 0")]
Count = Annotated[int, Field(ge=1, le=10**9), Want("a whole number from 1")]
Amount = Annotated[float, Field(ge=0, le=1e15), Want("a number from 0")]
Rate = Annotated[float, Field(gt=0, le=1e9), Want("a number above 0")]
Percent = Annotated[float, Field(ge=0, le=100), Want("a percentage from 0 to 100, without a sign")]
Config = Annotated[dict[str, Any], Want("a mapping")]
