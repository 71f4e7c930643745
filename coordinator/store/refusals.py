"""What a Redis-protocol server, or the way to it, says when it does not do what is asked.

The server's own words are kept; the kind says whether something may have happened, and leads to
what a person can do about it (`rolewise.coordinator.errors`).
"""

from __future__ import annotations

import ssl

from redis.exceptions import AuthenticationError, NoPermissionError, ReadOnlyError, RedisError

from rolewise.coordinator.store.port import (
    StoreFull,
    StoreLoginRefused,
    StoreNotTrusted,
    StoreReadOnly,
    StoreUnavailable,
)

# The client has a class for few of these, and a script's refusal arrives as plain text.
_BY_FIRST_WORD: dict[str, tuple[type[StoreUnavailable], str]] = {
    "OOM": (StoreFull, "the server's memory is full"),
    "MISCONF": (StoreFull, "the server cannot write to its disk"),
    "READONLY": (StoreReadOnly, "the server is a read only replica"),
    "NOREPLICAS": (StoreReadOnly, "the server has too few replicas to take writes"),
    "MASTERDOWN": (StoreReadOnly, "the server is a replica that has lost its primary"),
    "NOAUTH": (StoreLoginRefused, "the password is missing or wrong"),
    "WRONGPASS": (StoreLoginRefused, "the password is missing or wrong"),
    "NOPERM": (StoreLoginRefused, "the user may not do this"),
    "LOADING": (StoreUnavailable, "the server still reads its data in"),
    "BUSY": (StoreUnavailable, "the server runs somebody's long script"),
}


def refusal_of(error: RedisError | OSError) -> StoreUnavailable:
    """Return what kept the server from answering, as our own error."""
    causes = _chain(error)
    tls = next((cause for cause in causes if isinstance(cause, ssl.SSLError)), None)
    if tls is not None:
        return StoreNotTrusted(f"no TLS connection: {_tls_words(tls)}")
    for cause in causes:
        if isinstance(cause, RedisError):
            kind, words = _kind_of(cause)
            if words:
                return kind(f"{words}: {error}")
    return StoreUnavailable(str(error) or type(error).__name__)


def _kind_of(error: RedisError) -> tuple[type[StoreUnavailable], str]:
    words = str(error)
    first = str(getattr(error, "status_code", "") or "") or words.partition(" ")[0]
    if first in _BY_FIRST_WORD:
        return _BY_FIRST_WORD[first]
    if isinstance(error, ReadOnlyError):
        return _BY_FIRST_WORD["READONLY"]
    if isinstance(error, NoPermissionError):
        return _BY_FIRST_WORD["NOPERM"]
    if isinstance(error, AuthenticationError):
        return _BY_FIRST_WORD["NOAUTH"]
    return StoreUnavailable, ""


def _tls_words(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the server's certificate is not trusted: {error.verify_message}"
    reason = getattr(error, "reason", None)  # those that Python itself makes have none
    if reason in {"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE"}:
        return "the server does not speak TLS at this port"
    return str(reason or error)


def _chain(error: BaseException) -> list[BaseException]:
    """Return an error and what it came from, the nearest first."""
    causes: list[BaseException] = []
    at: BaseException | None = error
    while at is not None and at not in causes:
        causes.append(at)
        at = at.__cause__ or at.__context__
    return causes
