"""A store in memory that a test can send away."""

from __future__ import annotations

from typing import Any

from rolewise.coordinator.store.memory import MemoryStore
from rolewise.coordinator.store.port import StoreUnavailable

CALLS = frozenset({"append", "read", "wait", "keys", "get", "put", "remove", "acquire", "release"})
WRITES = frozenset({"append", "put", "remove", "acquire", "release"})


class AwayStore(MemoryStore):
    """A store that does not answer while it is away.

    Attributes:
        is_away: No call is answered.
        is_full: No call that writes is answered.
        loses_next_answer: The next append is carried out, but its answer is lost.
    """

    is_away = False
    is_full = False
    loses_next_answer = False

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if name not in CALLS:
            return found

        async def call(*args: Any, **options: Any) -> Any:
            if self.is_away or (self.is_full and name in WRITES):
                raise StoreUnavailable("no answer")
            answer = await found(*args, **options)
            if name == "append" and self.loses_next_answer:
                self.loses_next_answer, self.is_away = False, True
                raise StoreUnavailable("no answer")
            return answer

        return call
