"""Small fleets of players whose version v2 misbehaves, and what a controller makes of them.

A rollout brings v2 to half of the tasks. Statistics are switched off (`harm: hold`), so that only
what looks at waits can act.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from rolewise.agents.message import Message
from rolewise.coordinator.rollout.events import Paused, RollbackBegun, TableChanged
from rolewise.coordinator.rollout.state import Phase
from rolewise.fleet.local.runtime import LocalRuntime
from rolewise.graphs.rounds import Round
from tests.scenario.stage import Stage, given

LIMIT_S = 60.0
PLAYER = "tests.support.players:Player"
Does = Mapping[str, Sequence[Mapping[str, Any]]]
QUICK: Does = {"work": [{"sleep": 0.05}]}


@dataclass(frozen=True)
class Role:
    """What a role does, as v1 and, where it is on trial, as v2."""

    does: Does = field(default_factory=lambda: QUICK)
    v2: Does | None = None
    slots: int = 1
    replicas: int = 1


@dataclass(frozen=True)
class Seen:
    """What came of a case.

    Attributes:
        reaction: `rolled back`, `paused` or `goes on`.
        reason: In words.
        after_s: Virtual seconds from the first canary task (or the injection) until that.
        alerts: First word of each alert -> the same, and the whole sentence.
    """

    reaction: str
    reason: str
    after_s: float
    alerts: Mapping[str, tuple[float, str]]
    details: tuple[str, ...] = ()

    @property
    def stood_s(self) -> float:
        """How long the youngest wait of the circle had stood: since when it was closed."""
        return min(float(age) for line in self.details for age in _AGE.findall(line))


_AGE = re.compile(r"has waited ([0-9.]+) s")
Inject = Callable[[Stage], Awaitable[None]]


@dataclass(frozen=True, kw_only=True)
class Case:
    """One fleet and what to expect of it.

    Attributes:
        says: What it is, for the table.
        source: Traffic, of `tests.support.players`.
        inject: Done once the canary has tasks.
        reaction: Expected of the rollout.
        alerts: First words of the alerts that are expected; no others may come.
        words: Must be in the reason, or in an alert.
        settles_s: How long after the circle is closed its waits still change: healthy branches
            of a gather reply, and a wait that changes stands anew.
        within_s: The bound on when it fires.
    """

    says: str
    roles: Mapping[str, Role]
    entry: Sequence[str] = ("a",)
    source: str = "patient_tasks"
    rate: float = 2.0
    in_flight: int = 64
    inject: Inject | None = None
    make: Callable[..., LocalRuntime] = LocalRuntime
    reaction: str = "goes on"
    alerts: Collection[str] = ()
    words: Sequence[str] = ()
    within_s: float = LIMIT_S
    watch_s: float = 20.0
    settles_s: float = 0.0
    seed: int = 7

    def text(self) -> str:
        """Return the fleet's file."""
        roles = {
            name: {
                "slots": role.slots,
                "replicas": role.replicas,
                "versions": {
                    "v1": {"agent": PLAYER, "config": {"does": role.does}},
                    **({} if role.v2 is None else {"v2": self._canary(role.v2)}),
                },
            }
            for name, role in self.roles.items()
        }
        changed = {name: "v2" for name, role in self.roles.items() if role.v2 is not None}
        source = f"tests.support.players:{self.source}"
        canary = {
            "canary_replicas": max(self.roles[name].replicas for name in changed),
            "steps": [{"set_weight": 50}, {"pause": {"duration": "10m"}}, {"set_weight": 100}],
            "analysis": "waits-only",
            "drain": "1s",
        }
        return json.dumps(
            {
                "fleet": "play",
                "entry": list(self.entry),
                "roles": roles,
                "releases": {"v1": dict.fromkeys(self.roles, "v1"), "v2": changed},
                "release": "v1",
                "workload": {"source": source, "rate": self.rate, "in_flight": self.in_flight},
                "strategy": {"canary": canary},
                "analysis_templates": {"waits-only": {"on": {"harm": "hold"}}},
            }
        )

    @staticmethod
    def _canary(does: Does) -> dict[str, Any]:
        return {"agent": PLAYER, "config": {"does": does}}


def play(case: Case) -> Seen:
    """Play a case; it ends when the rollout turns, or after `watch_s`."""
    seen: list[Seen] = []

    async def story(stage: Stage) -> None:
        rollout = await stage.start("v2")
        await stage.until(rollout, lambda state: state.step >= 1)
        began = stage.clock.now()
        if case.inject is not None:
            await case.inject(stage)
            began = stage.clock.now()
        alerts: dict[str, tuple[float, str]] = {}
        state = await stage.journal.rollout(rollout)
        while stage.clock.now() < began + case.watch_s and state.phase is Phase.PROGRESSING:
            for alert in await stage.journal.newest_alerts("play"):
                kind = alert.partition(":")[0]
                alerts.setdefault(kind, (stage.clock.now() - began, alert))
            await stage.clock.sleep(0.25)
            state = await stage.journal.rollout(rollout)
        for alert in await stage.journal.newest_alerts("play"):
            alerts.setdefault(alert.partition(":")[0], (stage.clock.now() - began, alert))
        seen.append(await _sum_up(stage, rollout, began, alerts))

    given(case.text(), story, seed=case.seed, runtime=case.make)
    return seen[0]


async def _sum_up(
    stage: Stage, rollout: str, began: float, alerts: Mapping[str, tuple[float, str]]
) -> Seen:
    events = await stage.events(rollout)
    first = next(e.at for e in events if isinstance(e, TableChanged))
    shift = began - (await stage.seconds(first))
    for event in events:
        if isinstance(event, RollbackBegun | Paused):
            after_s = (event.at - first).total_seconds() - shift
            back = isinstance(event, RollbackBegun)
            details = tuple(line for fact in event.facts for line in fact.details)
            reaction = "rolled back" if back else "paused"
            return Seen(reaction, event.reason, after_s, alerts, details)
    return Seen("goes on", "", stage.clock.now() - began, alerts)


# What is injected beside the agents' own misbehaviour.


class Loses:
    """Loses requests to a role's canary tasks, or their replies; or holds them up."""

    def __init__(self, role: str, *, replies: bool = False, held_up_s: float | None = None) -> None:
        self._role, self._replies, self._held_up_s = role, replies, held_up_s

    def delay_s(self, message: Message, *, is_reply: bool) -> float | None:
        hit = message.to == self._role and message.arm == 2 and is_reply == self._replies
        return self._held_up_s if hit else 0.0


def on_the_network(faults: Loses) -> Inject:
    async def inject(stage: Stage) -> None:
        stage.runtime.network.faults = faults

    return inject


def kill(*, unnoticed: bool) -> Inject:
    async def inject(stage: Stage) -> None:
        while not any(
            one.version == "v2" and one.running for one in (await stage.runtime.observe()).replicas
        ):
            await stage.clock.sleep(0.1)
        stage.runtime.kill("b", "v2", unnoticed=unnoticed)

    return inject


class BlockingRuntime(LocalRuntime):
    """A fleet whose canary's event loop stands still, as its snapshots then say.

    In one process with one event loop nothing else would go on; the true block is tested on Ray.
    """

    async def waits(
        self, replicas: Collection[str] | None = None, *, recent: bool = False
    ) -> Round:
        seen = await super().waits(replicas, recent=recent)
        blocked = [
            replace(head, loop_lag_s=head.up_s) if head.version == "v2" else head
            for head in seen.heads
        ]
        return replace(seen, heads=tuple(blocked))
