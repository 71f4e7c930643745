"""The replicas of a fleet in one process: starts, finds, replaces and ends them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from rolewise.agents.agent import load_agent
from rolewise.agents.message import Address
from rolewise.fleet.local.memory import LocalMemory
from rolewise.fleet.local.network import LocalLink, Network
from rolewise.fleet.messenger import Messenger
from rolewise.fleet.recording.recorder import Recorder
from rolewise.fleet.replica import ReplicaCore
from rolewise.fleet.runtime import ReplicaState, ReplicaStatus, VersionDefinition

MakeRecorder = Callable[[str, str], Recorder]
"""Name of the incarnation, and its node -> its recorder."""
MakeMessenger = Callable[[int, int, Recorder], Messenger]
"""Number of the process, how many lives it had before, its recorder -> what sends for it."""


@dataclass(slots=True)
class Live:
    """One replica with what is needed to replace it."""

    core: ReplicaCore
    definition: VersionDefinition
    recorder: Recorder
    restarts: int = 0
    crashes: int = 0
    draining: bool = False

    def status(self, table: int) -> ReplicaStatus:
        """Say how it is; it has the routing table of this number."""
        address = self.core.address
        return ReplicaStatus(
            replica=str(address),
            role=address.role,
            version=address.version,
            state=ReplicaState.DRAINING if self.draining else ReplicaState.READY,
            restarts=self.restarts,
            crashes=self.crashes,
            table=table,
            running=self.core.running,
            queued=self.core.queued,
        )


class LocalStaff:
    """All replicas of one fleet, and the links to them.

    Args:
        network: Between them.
        recorder: Makes the recorder of a replica.
        messenger: Makes what a replica sends through.
        take: Takes what a recorder has noted, when its replica ends.
    """

    def __init__(
        self,
        network: Network,
        *,
        recorder: MakeRecorder,
        messenger: MakeMessenger,
        take: Callable[[Recorder], None],
    ) -> None:
        self.live: dict[Address, Live] = {}
        self._network = network
        self._recorder = recorder
        self._messenger = messenger
        self._take = take
        self._links: dict[Address, LocalLink] = {}
        self._memories: dict[str, LocalMemory] = {}
        self._numbers = 0

    def __iter__(self) -> Iterator[Live]:
        return iter(self.live.values())

    def of(self, role: str, version: str) -> list[Address]:
        """Return the replicas of a version, the oldest first."""
        return [a for a in self.live if a.role == role and a.version == version]

    def has_work(self, role: str, version: str) -> bool:
        """Return whether any replica of a version handles a message or has one in its queue."""
        cores = [self.live[address].core for address in self.of(role, version)]
        return any(core.running or core.queued for core in cores)

    def start(self, version: VersionDefinition) -> Address:
        """Start one more replica of a version."""
        self._numbers += 1
        address = Address(role=version.role, version=version.version, replica=self._numbers)
        self._start(address, version)
        return address

    def stop(self, address: Address) -> None:
        """End a replica: what waits for it fails."""
        live = self.live.pop(address)
        self._take(live.recorder)
        link = self._links.pop(address, None)
        if link is not None:
            link.close()
        live.core.withdraw_all(reason="replica_lost")

    def replace(self, address: Address, *, is_crash: bool, unnoticed: bool) -> None:
        """Let a replica die, as a crashed process does, and start its next life.

        Args:
            address: Which.
            is_crash: It counts as one of its version.
            unnoticed: Nobody tells those that wait for it, as when a link hangs on its dead end.
        """
        live = self.live[address]
        if unnoticed:
            self._links.pop(address, self._new_link(address)).hang()
        self.stop(address)
        crashes = live.crashes + is_crash
        next_life = self._start(address, live.definition, live.restarts + 1, crashes)
        next_life.draining = live.draining

    def find(self, address: Address) -> ReplicaCore | None:
        """Return a replica, if it lives."""
        live = self.live.get(address)
        return None if live is None else live.core

    def link_to(self, address: Address) -> LocalLink:
        """Return the link to a replica."""
        link = self._links.get(address)
        if link is None:
            link = self._links[address] = self._new_link(address)
        return link

    def _new_link(self, address: Address) -> LocalLink:
        return LocalLink(address, self.find, self._network)

    def _start(
        self, address: Address, version: VersionDefinition, restarts: int = 0, crashes: int = 0
    ) -> Live:
        agent = load_agent(version.agent, version.config)
        life = f"{address}.{restarts}"
        recorder = self._recorder(life, address.node)
        core = ReplicaCore(
            address=address,
            agent=agent,
            slots=version.slots,
            queue_limit=version.queue_limit,
            messenger=self._messenger(address.replica, restarts, recorder),
            memory=self._memories.setdefault(address.role, LocalMemory()),
            config=version.config,
            now=asyncio.get_running_loop().time,
            life=life,
        )
        live = self.live[address] = Live(core, version, recorder, restarts, crashes)
        return live
