"""Keeps the bundled server alive: starts it again whenever it has ended, until it is stopped.

Nothing that was confirmed is lost by its death, and its address stays the same, so whoever uses
the store only has to wait. A server that ends again and again (its disk is full, say) is started
at longer and longer intervals, and `trouble` says why.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from rolewise.coordinator.store.embedded import EmbeddedServer
from rolewise.coordinator.store.port import StoreError

LOOK_S = 0.2
FIRST_WAIT_S = 0.2
LONGEST_WAIT_S = 5.0
STEADY_S = 10.0
"""A server that lives for so long is well again."""


class StoreKeeper:
    """Owns an embedded server. Calls block, as the server's own do.

    Args:
        server: Not started yet.
        say: Told, in one line, when the server has ended and when it is back.
    """

    def __init__(self, server: EmbeddedServer, say: Callable[[str], None]) -> None:
        self._server = server
        self._say = say
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="store-keeper", daemon=True)
        self._trouble = ""

    @property
    def url(self) -> str:
        """Address of the server; it does not change while this keeps it."""
        return self._server.url

    @property
    def trouble(self) -> str:
        """Why the server is away, or was just now; empty when it is well."""
        return self._trouble

    def start(self) -> None:
        """Start the server and keep it; raises as `EmbeddedServer.start` does."""
        self._server.start()
        self._thread.start()

    def stop(self) -> None:
        """End the server in good order; raises as `EmbeddedServer.stop` does."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        self._server.stop()

    def _keep(self) -> None:
        wait_s = FIRST_WAIT_S
        started_s = time.monotonic()
        while not self._stopping.is_set():
            how = self._server.wait_for_end(LOOK_S)
            if how is None:
                if self._trouble and time.monotonic() - started_s > STEADY_S:
                    self._trouble, wait_s = "", FIRST_WAIT_S
                continue
            self._tell(f"the bundled store server has ended: {how}")
            while not self._stopping.wait(wait_s):
                wait_s = min(2 * wait_s, LONGEST_WAIT_S)
                try:
                    self._server.start()
                except StoreError as error:
                    self._tell(f"the bundled store server does not start: {error}")
                else:
                    started_s = time.monotonic()
                    self._say("the bundled store server runs again")
                    break

    def _tell(self, trouble: str) -> None:
        if trouble != self._trouble:
            self._say(trouble)
        self._trouble = trouble
