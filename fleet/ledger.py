"""What outlives the gateway's process of every task: that it was accepted, and how it ended.

Both are written before anybody is told, so that no answer is ever taken back. Whatever is to be
written at the same moment goes in one write: a lone task pays for one round trip, many at once
share it. Entries are gathered in pages; the newest page is written again as it grows, which costs
about what a small write does, and keeps their number small for whoever has to read them all.

A page goes when every task in it has been forgotten. Bodies and results go in as far as they are
small and there is room; of the others only the account is kept.
"""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from io import BytesIO
from typing import Any, Protocol

from rolewise.fleet.runtime import TaskCounts
from rolewise.fleet.task import Assignment, Outcome, TaskRecord, TaskRequest
from rolewise.graphs.interactions import Arm

PAGE_BYTES = 32_000
"""A page of this size is not added to any more."""
PAYLOAD_BYTES = 16_000
"""Largest body or result that is kept."""
ROOM_BYTES = 64_000_000
"""Of all pages together; beyond, only accounts are kept, without bodies and results."""
AGAIN_S = 0.5

_COUNTS, _OPENED, _ENDED, _SCORED = range(4)


class Pages(Protocol):
    """Where pages are kept: outside of the process, and outside of its machine where possible."""

    async def put(self, number: int, page: bytes) -> None:
        """Write a page, in the place of an older one of that number; returns when it is kept."""
        ...

    async def drop(self, number: int) -> None:
        """Forget a page."""
        ...

    async def read(self) -> Mapping[int, bytes]:
        """Return all pages."""
        ...


@dataclass(slots=True)
class KeptTask:
    """What is known of one task of a former life of the gateway.

    Attributes:
        request: As it was submitted; its body is there only where `has_body` says so.
        record: Its account; running when its end was not written. `started_s` is a time of day.
        ended_at: Time of day of its end.
    """

    request: TaskRequest
    record: TaskRecord
    has_body: bool = False
    ended_at: float = 0.0


@dataclass(slots=True)
class Kept:
    """All that a former life has kept, by number."""

    tasks: dict[int, KeptTask] = field(default_factory=dict)
    counts: TaskCounts = field(default_factory=TaskCounts)


class Ledger:
    """Writes entries for one gateway. All calls come from one event loop."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages
        self._number = 0
        self._page = bytearray()
        self._size = 0
        self._sizes: dict[int, int] = {}
        self._tasks_on: dict[int, int] = {}
        self._pages_of: dict[int, list[int]] = {}
        self._waiting: list[tuple[int, bytes, Outcome | None, asyncio.Future[None]]] = []
        self._writing: asyncio.Task[None] | None = None
        self._dropping: set[asyncio.Task[None]] = set()
        self._counts = TaskCounts()
        self._turn_page()

    async def opened(
        self, request: TaskRequest, record: TaskRecord, *, at: float, with_body: bool
    ) -> None:
        """Write that a task was accepted; returns when that is kept.

        Args:
            request: As it was submitted, `retry_of` being the first attempt.
            record: Its account.
            at: Time of day.
            with_body: A later life of the gateway may begin it again, so it needs the body.
        """
        entry = (
            _OPENED,
            record.number,
            at,
            (
                request.id,
                request.kind,
                request.role,
                request.timeout_s,
                request.conversation,
                dict(request.attributes),
                request.retry_of,
            ),
            record.table,
            [(a.role, a.salt, int(a.arm), a.weight, a.unit) for a in record.assignments],
            self._payload(request.body) if with_body else None,
        )
        await self._write(record.number, entry)

    async def ended(self, record: TaskRecord, *, at: float) -> None:
        """Write how a task ended, at this time of day; returns when that is kept."""
        result = None if record.result is None else self._payload(record.result)
        is_lost = record.result is not None and result is None
        entry = (
            _ENDED,
            record.number,
            at,
            record.outcome.value,
            record.error,
            record.latency_s,
            record.outside_cause,
            result,
            is_lost,
        )
        await self._write(record.number, entry)

    async def scored(self, number: int, name: str, value: float) -> None:
        """Write a score that came from outside."""
        await self._write(number, (_SCORED, number, name, value))

    def forget(self, numbers: tuple[int, ...]) -> None:
        """Let go of tasks whose accounts are not kept any more, and of pages with no others."""
        for number in numbers:
            for page in self._pages_of.pop(number, ()):
                self._tasks_on[page] -= 1
                if not self._tasks_on[page] and page != self._number:
                    self._drop(page)

    def stop(self) -> None:
        """Write nothing more; what was being written may have been or not."""
        if self._writing is not None:
            self._writing.cancel()

    async def recover(self) -> Kept:
        """Read what a former life has written, and go on behind it."""
        kept = Kept()
        self._tasks_on.clear()
        pages = await self._pages.read()
        for number in sorted(pages):
            self._sizes[number] = len(pages[number])
            self._tasks_on.setdefault(number, 0)
            for entry in _entries(pages[number]):
                task = _take(kept, entry)
                if task and number not in self._pages_of.setdefault(task, []):
                    self._pages_of[task].append(number)
                    self._tasks_on[number] += 1
        self._number = max(pages, default=0)
        self._size = sum(self._sizes.values())
        self._counts = kept.counts
        self._turn_page()
        return kept

    def _payload(self, value: Any) -> bytes | None:
        """Return a body or result as bytes; None when it is too large or does not pickle."""
        if self._size > ROOM_BYTES:
            return None
        try:
            data = pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
        except Exception:  # noqa: BLE001 (pickling runs the value's own code)
            return None
        return data if len(data) <= PAYLOAD_BYTES else None

    async def _write(self, number: int, entry: tuple[Any, ...]) -> None:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        data = pickle.dumps(entry, pickle.HIGHEST_PROTOCOL)
        outcome = Outcome(entry[3]) if entry[0] == _ENDED else None
        self._waiting.append((number, data, outcome, done))
        if self._writing is None or self._writing.done():
            self._writing = asyncio.get_running_loop().create_task(self._write_all())
        await done

    async def _write_all(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            page = self._number
            for number, data, outcome, _ in batch:
                self._page += data
                self._counts = _plus_one(self._counts, outcome)
                pages = self._pages_of.setdefault(number, [])
                if page not in pages:
                    pages.append(page)
                    self._tasks_on[page] += 1
            await self._put_until_kept(page, bytes(self._page))
            self._size += len(self._page) - self._sizes.get(page, 0)
            self._sizes[page] = len(self._page)
            for _, _, _, done in batch:
                if not done.done():
                    done.set_result(None)
            if len(self._page) >= PAGE_BYTES:
                self._turn_page()

    async def _put_until_kept(self, number: int, page: bytes) -> None:
        while True:
            try:
                await self._pages.put(number, page)
            except Exception:  # noqa: BLE001 (whoever waits is told nothing until it is kept)
                await asyncio.sleep(AGAIN_S)
            else:
                return

    def _drop(self, page: int) -> None:
        self._size -= self._sizes.pop(page, 0)
        del self._tasks_on[page]
        task = asyncio.get_running_loop().create_task(self._pages.drop(page))
        self._dropping.add(task)
        task.add_done_callback(self._dropped)

    def _dropped(self, task: asyncio.Task[None]) -> None:
        # A page that could not be dropped is read in vain by the next life, and dropped then.
        self._dropping.discard(task)
        if not task.cancelled():
            task.exception()

    def _turn_page(self) -> None:
        if self._tasks_on.get(self._number) == 0:
            self._drop(self._number)
        self._number += 1
        self._tasks_on[self._number] = 0
        counts = self._counts
        ends = (counts.completed, counts.failed, counts.timed_out)
        self._page = bytearray(pickle.dumps((_COUNTS, 0, ends), pickle.HIGHEST_PROTOCOL))


def _plus_one(counts: TaskCounts, outcome: Outcome | None) -> TaskCounts:
    if outcome is None:
        return counts
    return replace(counts, **{outcome.value: getattr(counts, outcome.value) + 1})


def _entries(page: bytes) -> list[tuple[Any, ...]]:
    found, stream = [], BytesIO(page)
    while stream.tell() < len(page):
        found.append(pickle.load(stream))  # noqa: S301 (our own bytes)
    return found


def _take(kept: Kept, entry: tuple[Any, ...]) -> int:
    """Fold an entry; return the number of the task that it is of."""
    kind, number, *rest = entry
    if kind == _COUNTS:
        ((completed, failed, timed_out),) = rest
        # As at the beginning of the page: whatever ended since follows.
        kept.counts = TaskCounts(completed=completed, failed=failed, timed_out=timed_out)
    elif kind == _OPENED:
        kept.tasks[number] = _opened(number, *rest)
    elif kind == _SCORED and number in kept.tasks:
        task, (name, value) = kept.tasks[number], rest
        task.record = replace(task.record, scores={**task.record.scores, name: value})
    elif kind == _ENDED:
        _end(kept, number, *rest)
    return int(number)


def _opened(
    number: int,
    at: float,
    request: tuple[Any, ...],
    table: int,
    assignments: list[tuple[str, str, int, float, str]],
    body: bytes | None,
) -> KeptTask:
    task, kind, role, timeout_s, conversation, attributes, retry_of = request
    loaded, has_body = _load(body)
    return KeptTask(
        request=TaskRequest(
            id=task,
            body=loaded,
            kind=kind,
            role=role,
            timeout_s=timeout_s,
            conversation=conversation,
            attributes=attributes,
            retry_of=retry_of,
        ),
        record=TaskRecord(
            task=task,
            number=number,
            table=table,
            assignments=tuple(
                Assignment(role=r, salt=salt, arm=Arm(arm), weight=weight, unit=unit)
                for r, salt, arm, weight, unit in assignments
            ),
            started_s=at,
        ),
        has_body=has_body,
    )


def _end(
    kept: Kept,
    number: int,
    at: float,
    outcome: str,
    error: str,
    latency_s: float,
    outside_cause: str,
    result: bytes | None,
    is_lost: bool,
) -> None:
    named = Outcome(outcome)
    kept.counts = _plus_one(kept.counts, named)
    task = kept.tasks.get(number)
    if task is None:
        return  # its submission was on a page that is gone: it was forgotten
    loaded, is_there = _load(result)
    lost = "its result was not kept: it died with the gateway" if is_lost else ""
    unread = "its result does not load any more" if result is not None and not is_there else ""
    task.record = replace(
        task.record,
        outcome=named,
        error=error or lost or unread,
        result=loaded,
        latency_s=latency_s,
        outside_cause=outside_cause,
    )
    task.ended_at = at


def _load(data: bytes | None) -> tuple[Any, bool]:
    if data is None:
        return None, False
    try:
        return pickle.loads(data), True  # noqa: S301 (what this fleet has written)
    except Exception:  # noqa: BLE001 (unpickling runs the value's own code)
        return None, False
