"""Who may do what by the API: tokens from a file, three roles, one decision for each request.

    tokens:
      - {name: dashboard, role: viewer, sha256: 9f86d0…}     # hex digest of the token
      - {name: alice, role: operator, token: …}              # or the token itself

A viewer sees everything, an operator also moves rollouts and submits tasks, an admin also
changes the fleet. Tokens are kept as digests, and nothing here puts one in a message.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import YAMLError

_RoleName = Literal["viewer", "operator", "admin"]


class Role(IntEnum):
    """What a token allows; each role includes those before it."""

    VIEWER = 1
    OPERATOR = 2
    ADMIN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who sent a request: goes into the rollout's log as `by`."""

    name: str
    role: Role


@dataclass(frozen=True, slots=True, kw_only=True)
class Denied:
    """The answer to a request that may not pass: 401 for who are you, 403 for not you."""

    status: Literal[401, 403]
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """One line of the token file; `digest` is the SHA-256 of the token."""

    identity: Identity
    digest: bytes


class TokenFileInvalid(Exception):
    """The token file cannot be used; the message names file, key, value and what is allowed."""

    code: ClassVar[str] = "token_file_invalid"


def authorize(header: str | None, needed: Role, tokens: Sequence[Token]) -> Identity | Denied:
    """Decide on a request by its `Authorization` header.

    Every token is compared, in constant time, so that the time taken tells nothing about them.
    """
    if not header:
        return Denied(status=401, reason="no token: send 'Authorization: Bearer TOKEN'")
    scheme, _, token = header.strip().partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        return Denied(status=401, reason="the Authorization header is not 'Bearer TOKEN'")
    digest = _digest(token.strip())
    matches = [known.identity for known in tokens if hmac.compare_digest(known.digest, digest)]
    if not matches:
        return Denied(status=401, reason="unknown token")
    identity = matches[0]
    if identity.role < needed:
        return Denied(
            status=403,
            reason=f"{identity.name} is {identity.role.name.lower()};"
            f" this needs {needed.name.lower()}",
        )
    return identity


def read_tokens(path: Path) -> tuple[Token, ...]:
    """Read the token file.

    Raises:
        TokenFileInvalid: It cannot be read, or something in it is not allowed; every problem is
            named, one a line.
    """
    try:
        document = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise TokenFileInvalid(f"{path}: {error.strerror}") from error
    except (ValueError, YAMLError) as error:
        raise TokenFileInvalid(f"{path}: {_describe_syntax(error)}") from None
    if not isinstance(document, dict):
        raise TokenFileInvalid(f"{path}: 'tokens' is missing: allowed is a list of tokens")
    try:
        file = _File.model_validate(document)
    except ValidationError as error:
        problems = (f"{path}: {_describe(problem)}" for problem in error.errors())
        raise TokenFileInvalid("\n".join(problems)) from None  # the cause shows what was entered
    tokens = tuple(_to_token(entry) for entry in file.tokens)
    _check_unique(path, tokens)
    return tokens


class _Entry(BaseModel):
    """One token as it is written."""

    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)

    name: str = Field(min_length=1)
    role: _RoleName
    sha256: str | None = Field(default=None, pattern=r"^[0-9a-fA-F]{64}$")
    token: str | None = Field(default=None, pattern=r"^[!-~]+$")

    @model_validator(mode="after")
    def _check_one_secret(self) -> _Entry:
        if (self.sha256 is None) == (self.token is None):
            raise ValueError("needs either sha256 or token, not both")
        return self


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)

    tokens: list[_Entry] = Field(min_length=1)


def _to_token(entry: _Entry) -> Token:
    return Token(
        identity=Identity(name=entry.name, role=Role[entry.role.upper()]),
        digest=_digest(entry.token) if entry.token else bytes.fromhex(entry.sha256 or ""),
    )


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode(errors="surrogatepass")).digest()


def _check_unique(path: Path, tokens: Sequence[Token]) -> None:
    names: dict[bytes, str] = {}
    for token in tokens:
        name = token.identity.name
        if name in names.values():
            raise TokenFileInvalid(f"{path}: name {name!r} stands twice: allowed is once")
        if token.digest in names:
            raise TokenFileInvalid(
                f"{path}: {names[token.digest]!r} and {name!r} have the same token:"
                " allowed is one each"
            )
        names[token.digest] = name


_ALLOWED = {
    "name": "a name that is not empty",
    "role": "viewer, operator, admin",
    "sha256": "64 hexadecimal digits",
    "token": "printable characters without blanks",
    "tokens": "a list of one or more tokens",
}
_SECRET = {"sha256", "token"}
_SHOWN_LENGTH = 40


def _describe(problem: ErrorDetails) -> str:
    """Say which key holds which value and what is allowed; never the value of a secret."""
    location = problem["loc"]
    key = ".".join(map(str, location))
    last = location[-1]
    if problem["type"] == "missing":
        return f"{key} is missing: allowed is {_ALLOWED[str(last)]}"
    if problem["type"] == "extra_forbidden":
        allowed = "tokens" if len(location) == 1 else "name, role, sha256, token"
        return f"{key} is unknown: allowed is {allowed}"
    if problem["type"] == "value_error":
        return f"{key} {problem['ctx']['error']}"
    if isinstance(last, int):
        return f"{key}: allowed is a map of name, role, and sha256 or token"
    if last in _SECRET:
        return f"{key} is not shown here: allowed is {_ALLOWED[last]}"
    return f"{key} is {_short(problem['input'])}: allowed is {_ALLOWED[last]}"


def _short(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= _SHOWN_LENGTH else f"{shown[:_SHOWN_LENGTH]}..."


def _describe_syntax(error: Exception) -> str:
    """Name the line only: the parser's own words may quote a token."""
    problem = "a key stands twice" if isinstance(error, DuplicateKeyError) else "not YAML"
    mark = getattr(error, "problem_mark", None)
    return problem if mark is None else f"line {mark.line + 1}: {problem}"
