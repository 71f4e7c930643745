"""What every process of a fleet on Ray has: routes, links, a notebook, and its post."""

from __future__ import annotations

import asyncio
import secrets
import time
from dataclasses import replace

from ray.exceptions import RayError

from rolewise.agents.message import Address
from rolewise.fleet.ids import IdSource
from rolewise.fleet.messenger import Messenger
from rolewise.fleet.ray.exchange import ExchangeLink, carry_by_actor
from rolewise.fleet.ray.meter import Meter
from rolewise.fleet.ray.view import Peer, Ticket, View
from rolewise.fleet.recording.notes import Delivery, split_by_task
from rolewise.fleet.recording.recorder import Recorder
from rolewise.fleet.routing.router import Router
from rolewise.fleet.routing.table import RoutingTable


class FleetProcess:
    """One life of a replica or gateway as its fleet sees it. All calls come from one event loop.

    Args:
        name: In words: `gateway`, `negotiator@v2#1`.
        node: Its node in the interaction graph; empty for the gateway.
        number: Its number in the fleet, for message ids.
        ticket: What the fleet said when it joined.
    """

    def __init__(self, *, name: str, node: str, number: int, ticket: Ticket) -> None:
        self.incarnation = f"{name}.{ticket.restarts}-{secrets.token_hex(4)}"
        self.restarts = ticket.restarts
        self.router = Router()
        self.recorder = Recorder(f"{name}.{ticket.restarts}", node)
        self.messenger = Messenger(
            router=self.router,
            link_to=self._link_to,
            recorder=self.recorder,
            ids=IdSource(number, ticket.restarts),
            now=time.perf_counter,
        )
        self.meter: Meter | None = None
        """Of a process that does nothing but serve messages; set by such a one."""
        self._view = ticket.view
        self._post_every_s = ticket.post_every_s
        self._links: dict[Address, tuple[int, ExchangeLink]] = {}
        self._unsent: dict[int, Delivery] = {}
        self._posting = asyncio.Lock()
        self._take_over(ticket.view)

    @property
    def view_number(self) -> int:
        """Number of the view in force."""
        return self._view.number

    def install(self, view: View) -> int:
        """Put a view in force unless a newer one is; return the number of the table in force."""
        has_news = view.table.number > self.router.table.number
        if view.number > self._view.number or (view.number == self._view.number and has_news):
            self._take_over(view)
        return self.router.table.number

    def install_table(self, table: RoutingTable) -> int:
        """Put a table in force unless a newer one is; return the number of the one in force."""
        if self.router.install(table):
            self._view = replace(self._view, table=table)
        return self.router.table.number

    async def post_for_ever(self) -> None:
        """Ship telemetry from time to time."""
        while True:
            await asyncio.sleep(self._post_every_s)
            await self.post()

    async def post(self) -> None:
        """Ship what was noted. What a collector did not take is shipped again the next time."""
        async with self._posting:
            if not self._unsent:
                meter = self.meter
                delivery = self.recorder.take(also_empty=meter is not None and meter.is_news)
                if delivery is None:
                    return
                if meter is not None:
                    delivery = replace(delivery, work=meter.work())
                parts = split_by_task(delivery, len(self._view.collectors))
                self._unsent = dict(enumerate(parts))
            for shard, part in list(self._unsent.items()):
                try:
                    await self._view.collectors[shard].take.remote(part)
                except RayError:
                    continue  # it restarts; meanwhile the recorder keeps notes, or counts drops
                del self._unsent[shard]

    async def breaches(self) -> dict[int, str]:
        """Ask all collectors for tasks that broke a hard limit; one that is away knows none."""
        limits = self._view.guards
        answers = await asyncio.gather(
            *(collector.breaches.remote(limits) for collector in self._view.collectors),
            return_exceptions=True,
        )
        found: dict[int, str] = {}
        for answer in answers:
            if isinstance(answer, dict):
                found |= answer
        return found

    async def end_task(self, task: str) -> None:
        """End a task's messages at every replica; one that is away has none."""
        calls = [peer.actor.end_task.remote(task) for peer in self._view.peers.values()]
        await asyncio.gather(*calls, return_exceptions=True)

    def _take_over(self, view: View) -> None:
        self._view = view
        self.messenger.hops = view.guards.hops
        self.router.install(view.table)
        self.router.set_replicas(view.peers)
        for address, (life, link) in list(self._links.items()):
            peer = view.peers.get(address)
            if address in view.lost:
                link.close(f"was lost: {view.lost[address]}")
                del self._links[address]
            elif (peer is not None and peer.life != life) or (peer is None and not link.is_busy):
                link.close()
                del self._links[address]

    def _link_to(self, address: Address) -> ExchangeLink:
        known = self._links.get(address)
        if known is not None:
            return known[1]
        peer: Peer = self._view.peers[address]
        link = ExchangeLink(address, carry_by_actor(peer.actor), self.incarnation)
        self._links[address] = peer.life, link
        return link
