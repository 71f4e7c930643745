"""Event streams that cannot fill the server: so many at a time, and none for readers that stall.

A stream holds no queue. It reads on in the log only when its reader has taken what was sent, so
a slow reader costs one batch of events and the socket's own buffers. One that takes nothing for
`stall_s` is cut off; it may come back with the number of its last event.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator

from fastapi.responses import StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from rolewise.coordinator.errors import RolewiseError

log = logging.getLogger(__name__)

STREAMS_MAX = 200
STALL_S = 30.0
MEDIA_TYPE = "text/event-stream"


class Streams:
    """The open streams of one server.

    Args:
        at_most: More are refused.
        stall_s: How long a reader may take nothing of what is sent to it.
    """

    def __init__(self, *, at_most: int = STREAMS_MAX, stall_s: float = STALL_S) -> None:
        self._at_most = at_most
        self._stall_s = stall_s
        self._open = 0

    @property
    def open(self) -> int:
        """How many are open now."""
        return self._open

    def answer(self, events: AsyncIterator[str]) -> StreamingResponse:
        """Return a stream of events as an answer.

        Raises:
            RolewiseError: `too_many_streams`.
        """
        if self._open >= self._at_most:
            raise RolewiseError(
                "too_many_streams",
                f"{self._open} event streams are open; the limit is {self._at_most}",
                hint="without `Accept: text/event-stream` the events come as a list",
            )
        self._open += 1
        return _Stream(events, self, self._stall_s)

    def closed(self) -> None:
        """Note that one has ended."""
        self._open -= 1


class _Stream(StreamingResponse):
    def __init__(self, events: AsyncIterator[str], streams: Streams, stall_s: float) -> None:
        super().__init__(events, media_type=MEDIA_TYPE, headers={"Cache-Control": "no-store"})
        self._streams = streams
        self._stall_s = stall_s
        self._stalled = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_in_time(message: Message) -> None:
            try:
                async with asyncio.timeout(self._stall_s):
                    await send(message)
            except TimeoutError:
                self._stalled = True
                raise

        try:
            await super().__call__(scope, receive, send_in_time)
        except Exception:
            if not self._stalled:
                raise
            # An answer that is left incomplete: the server closes the connection.
            log.info("a reader of %s took nothing for %g s", scope["path"], self._stall_s)
        finally:
            self._streams.closed()
