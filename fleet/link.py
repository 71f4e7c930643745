"""The seam between what is said and how it is carried: one link leads to one replica."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from rolewise.agents.message import Address, Message, Reply


class Link(Protocol):
    """Carries messages from this process to one replica, and the replies back.

    Links keep no order between messages. A message is handled at most once.
    """

    async def ask(self, message: Message) -> Reply:
        """Carry a request and return its reply, also a failed one; never raises `AgentError`.

        Cancelling the awaiting task withdraws the request at the far side.
        """
        ...

    async def tell(self, message: Message) -> Reply | None:
        """Carry an event; returns when the replica's queue has taken it, or why it was not."""
        ...

    def close(self) -> None:
        """Fail what is open with `replica_lost` and carry nothing more."""
        ...


LinkTo = Callable[[Address], Link]
"""Returns the link to a replica; the same one for the same address."""
