"""Words of a server become kinds of our own; what is in no table is told as it is."""

from __future__ import annotations

import ssl

import pytest
from redis.exceptions import (
    BusyLoadingError,
    MasterDownError,
    OutOfMemoryError,
    RedisError,
    ResponseError,
)
from redis.exceptions import (
    ConnectionError as RedisConnectionError,
)

from rolewise.coordinator.store.port import (
    StoreFull,
    StoreLoginRefused,
    StoreNotTrusted,
    StoreReadOnly,
    StoreUnavailable,
)
from rolewise.coordinator.store.refusals import refusal_of


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (BusyLoadingError("loading", status_code="LOADING"), StoreUnavailable, "reads its data"),
        (ResponseError("BUSY Valkey is busy running a script."), StoreUnavailable, "long script"),
        (MasterDownError("link down", status_code="MASTERDOWN"), StoreReadOnly, "lost its primary"),
        (OutOfMemoryError("command not allowed", status_code="OOM"), StoreFull, "memory is full"),
        (ResponseError("MISCONF Errors writing to the AOF file"), StoreFull, "write to its disk"),
        (ResponseError("NOREPLICAS Not enough good replicas"), StoreReadOnly, "too few replicas"),
        (ResponseError("WRONGPASS invalid"), StoreLoginRefused, "missing or wrong"),
        (ResponseError("ERR something new"), StoreUnavailable, "ERR something new"),
        (ConnectionRefusedError(111, "refused"), StoreUnavailable, "refused"),
        (RedisConnectionError(), StoreUnavailable, "ConnectionError"),
    ],
)
def test_each_refusal_has_its_kind_and_keeps_the_server_s_words(
    error: RedisError | OSError, kind: type[StoreUnavailable], words: str
) -> None:
    refusal = refusal_of(error)
    assert type(refusal) is kind
    assert words in str(refusal)
    assert str(error) in str(refusal)


def test_what_lies_behind_an_error_counts_also_in_a_circle() -> None:
    error = RedisConnectionError("Error connecting")
    error.__cause__ = OSError("in between")
    error.__cause__.__context__ = ssl.SSLError(1, "[SSL] alert")
    error.__cause__.__context__.__context__ = error
    assert type(refusal_of(error)) is StoreNotTrusted
