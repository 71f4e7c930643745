"""Failures of waiting, injected: deadlocks, lost messages, blocked loops, and their look-alikes.

Each case is a small fleet of players whose version v2 misbehaves; a rollout brings it to half of
the tasks, and what the controller then says and does is noted. Statistics are switched off
(`harm: hold`), so that only what looks at waits can act.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from rolewise.agents.message import Message
from rolewise.coordinator.rollout.events import Paused, RollbackBegun, TableChanged
from rolewise.coordinator.rollout.state import Phase
from rolewise.fleet.local.runtime import LocalRuntime
from rolewise.graphs.rounds import Round
from tests.scenario.detector_rows import Row
from tests.scenario.phantoms import count_reports
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


# The cases, by the number of their row.

ASKS_B: Does = {"task": [{"ask": "b.work"}]}
ASKS_BACK: Does = {"work": [{"sleep": 0.05}, {"ask": "a.again"}]}
MUTUAL = {"a": Role(ASKS_B), "b": Role(v2=ASKS_BACK)}
TIMED = {"a": Role({"task": [{"ask": "b.work", "timeout": 20.0}]}), "b": Role(v2=ASKS_BACK)}
THREE: Sequence[str] = ("b.work", "c.work", "d.work")
SLOWLY: Does = {"work": [{"sleep": 1.0}]}
LOCKS_XY: Does = {
    "task": [{"ask": "b.work"}],
    "other": [{"ask": "b.other"}],
}


def locks(first: str, second: str, hold_s: float = 0.5) -> Sequence[Mapping[str, Any]]:
    inner = [{"sleep": hold_s}, {"lock": second, "then": []}]
    return [{"lock": first, "then": inner}]


SAME_ORDER: Does = {"work": locks("stock", "till"), "other": locks("stock", "till")}
OPPOSITE: Does = {"work": locks("stock", "till"), "other": locks("till", "stock")}
LONG_HOLD: Does = {"work": locks("stock", "till", 4.0), "other": locks("stock", "till", 4.0)}
ASKS_NEXT = {
    role: {"task": [{"sleep": 0.1}, {"ask": f"{following}.work"}], "work": [{"sleep": 0.1}]}
    for role, following in zip("abcd", "bcda", strict=True)
}
CHAIN = {
    role: {"task": [{"ask": "b.work"}], "work": [{"ask": f"{following}.work"}]}
    for role, following in zip("abc", "bcd", strict=True)
}
DEADLOCK = ("hard deadlock",)

CASES: dict[int, tuple[Case, Case | None]] = {
    1: (
        Case(
            says="mutual ask a → b → a, one slot each, no timeout",
            roles=MUTUAL,
            reaction="rolled back",
            alerts=DEADLOCK,
            words=["a@v1, b@v2 hold each other up;", "waits for a slot of a@v1"],
            within_s=6.0,
        ),
        Case(
            says="the same with 2 slots at low load",
            roles={"a": Role(ASKS_B, slots=2), "b": Role(v2=ASKS_BACK, slots=2)},
            rate=0.5,
            in_flight=1,
        ),
    ),
    2: (
        Case(
            says="the same, each ask with a timeout of 20 s",
            roles=TIMED,
            source="tasks",
            reaction="rolled back",
            alerts=["soft deadlock"],
            words=["until a timeout ends it", "the first of these waits times out in"],
            within_s=6.0,
        ),
        Case(
            says="one ask that times out once because the model was slow",
            roles={
                "a": Role({"task": [{"ask": "b.work", "timeout": 2.0}]}, slots=4),
                "b": Role(v2={"work": [{"sleep": 25.0, "once": True}]}, slots=4),
            },
        ),
    ),
    3: (
        Case(
            says="ring of 4 roles, all slots of all replicas full",
            roles={
                "a": Role(ASKS_NEXT["a"]),
                "b": Role(ASKS_NEXT["b"]),
                "c": Role({"task": [{"sleep": 0.1}], "work": [{"sleep": 0.1}]}, v2=ASKS_NEXT["c"]),
                "d": Role(ASKS_NEXT["d"]),
            },
            entry="abcd",
            source="patient_ring",
            rate=8.0,
            reaction="rolled back",
            alerts=DEADLOCK,
            words=["a@v1, b@v1, c@v2, d@v1 hold each other up", "a slot of c@v2", "a slot of d@v1"],
            within_s=15.0,
        ),
        Case(
            says="chain of 4 slow roles, the last one computing",
            roles={
                "a": Role(CHAIN["a"]),
                "b": Role(CHAIN["b"]),
                "c": Role(CHAIN["c"], v2=CHAIN["c"]),
                "d": Role({"work": [{"sleep": 8.0}]}),
            },
            rate=8.0,
        ),
    ),
    4: (
        Case(
            says="gather over 3, one branch in a circle",
            rate=0.6,
            roles={
                "a": Role({"task": [{"all": THREE}]}),
                "b": Role(v2=ASKS_BACK),
                "c": Role(SLOWLY),
                "d": Role(SLOWLY),
            },
            reaction="rolled back",
            alerts=DEADLOCK,
            words=["a@v1, b@v2 hold each other up"],
            within_s=8.0,
        ),
        Case(
            says="gather with one slow branch",
            rate=0.6,
            roles={
                "a": Role({"task": [{"all": THREE}]}, slots=4),
                "b": Role(v2={"work": [{"sleep": 5.0}]}),
                "c": Role(),
                "d": Role(),
            },
        ),
    ),
    5: (
        Case(
            says="first of 3, one branch in a circle",
            rate=0.6,
            roles={
                "a": Role({"task": [{"any": THREE}]}),
                "b": Role(v2=ASKS_BACK),
                "c": Role(SLOWLY),
                "d": Role(SLOWLY),
            },
        ),
        None,
    ),
    6: (
        Case(
            says="first of 2, both branches in circles",
            rate=0.6,
            roles={
                "a": Role({"task": [{"any": THREE[:2]}]}),
                "b": Role(v2=ASKS_BACK),
                "c": Role(ASKS_BACK),
            },
            reaction="rolled back",
            alerts=DEADLOCK,
            words=["and every alternative is stuck too: the reply to work of c@v1"],
            within_s=6.0,
        ),
        Case(
            says="row 5: one of the two still open",
            rate=0.6,
            roles={
                "a": Role({"task": [{"any": THREE[:2]}]}),
                "b": Role(v2=SLOWLY),
                "c": Role(ASKS_BACK),
            },
        ),
    ),
    7: (
        Case(
            says="two locks taken in opposite order",
            roles={"a": Role(LOCKS_XY, slots=8), "b": Role(SAME_ORDER, v2=OPPOSITE, slots=4)},
            source="two_kinds",
            rate=4.0,
            reaction="rolled back",
            alerts=DEADLOCK,
            words=["for lock till of b@v2", "for lock stock of b@v2"],
            within_s=15.0,
        ),
        Case(
            says="the same locks in the same order, held long",
            roles={"a": Role(LOCKS_XY, slots=8), "b": Role(SAME_ORDER, v2=LONG_HOLD, slots=4)},
            source="two_kinds",
            rate=0.5,
        ),
    ),
    8: (
        Case(
            says="a message at one replica of a pool locks itself up, the other replica is free",
            roles={
                "a": Role(ASKS_B, slots=8),
                "b": Role(
                    {"work": [{"sleep": 0.05}]},
                    v2={
                        "work": [
                            {"lock": "x", "then": [{"lock": "x", "then": []}], "once": True},
                            {"sleep": 0.05},
                        ]
                    },
                    slots=2,
                ),
            },
            rate=1.0,
            reaction="rolled back",
            alerts=DEADLOCK,
            words=["b@v2 holds itself up", "1 task in it, 1 more waiting behind"],
            within_s=6.0,
        ),
        Case(
            says="a pool of two replicas, one of them slow: messages bound to it only wait",
            roles={
                "a": Role(ASKS_B, slots=8),
                "b": Role(v2={"work": [{"sleep": 4.0, "once": True}]}, replicas=2),
            },
            rate=4.0,
        ),
    ),
    10: (
        Case(
            says="a replica killed while callers wait, and nobody tells them",
            roles={
                "a": Role(ASKS_B, slots=16),
                "b": Role(v2={"work": [{"sleep": 3.0}]}, slots=8),
            },
            source="tasks",
            inject=kill(unnoticed=True),
            alerts=["orphan"],
            words=["which has died since"],
            within_s=8.0,
        ),
        Case(
            says="the same, and the link tells them: they get a failure",
            roles={
                "a": Role(ASKS_B, slots=16),
                "b": Role(v2={"work": [{"sleep": 3.0}]}, slots=8),
            },
            source="tasks",
            inject=kill(unnoticed=False),
        ),
    ),
    11: (
        Case(
            says="requests lost in transport",
            roles={"a": Role(ASKS_B, slots=64), "b": Role(v2=QUICK)},
            source="tasks",
            inject=on_the_network(Loses("b")),
            alerts=["orphan"],
            words=["which never got the request: it was lost"],
            within_s=9.0,
        ),
        Case(
            says="slow transport, 3 s",
            roles={"a": Role(ASKS_B, slots=64), "b": Role(v2=QUICK)},
            source="tasks",
            inject=on_the_network(Loses("b", held_up_s=3.0)),
        ),
    ),
    12: (
        Case(
            says="replies lost in transport",
            roles={"a": Role(ASKS_B, slots=64), "b": Role(v2=QUICK)},
            source="tasks",
            inject=on_the_network(Loses("b", replies=True)),
            alerts=["orphan"],
            words=["which has answered: the reply was lost"],
            within_s=9.0,
        ),
        Case(
            says="events, which nobody answers",
            roles={"a": Role({"task": [{"tell": "b.work"}]}, slots=64), "b": Role(v2=QUICK)},
            inject=on_the_network(Loses("b", replies=True)),
        ),
    ),
    13: (
        Case(
            says="a handler blocks the event loop",
            roles={"a": Role(ASKS_B, slots=16), "b": Role(v2={"work": [{"sleep": 15.0}]}, slots=8)},
            make=BlockingRuntime,
            alerts=["blocked loop"],
            words=["has not turned for"],
            within_s=5.0,
        ),
        Case(
            says="a long model call, awaited",
            roles={
                "a": Role(ASKS_B, slots=32),
                "b": Role(v2={"work": [{"sleep": 15.0}]}, slots=16),
            },
        ),
    ),
    14: (
        Case(
            says="all slots busy with model calls of 60 s",
            roles={"a": Role(ASKS_B, slots=64), "b": Role(v2={"work": [{"sleep": 60.0}]}, slots=2)},
            alerts=["starvation"],
            words=["is slow but alive: 2 of 2 slots", "at work for them: 2 in b@v2"],
            within_s=36.0,
            watch_s=50.0,
        ),
        Case(
            says="the same in the baseline: a note for each, no verdict",
            roles={
                "a": Role(ASKS_B, slots=64),
                "b": Role({"work": [{"sleep": 60.0}]}, v2={"work": [{"sleep": 60.0}]}, slots=2),
            },
            alerts=["starvation"],
            watch_s=50.0,
        ),
    ),
    15: (
        Case(
            says="deadlock among stable versions only",
            roles={
                "a": Role({"task": [{"ask": "b.work"}], "other": [{"ask": "c.work"}]}, slots=64),
                "b": Role(v2=QUICK),
                "c": Role({"work": [{"ask": "d.work"}]}),
                "d": Role({"work": [{"ask": "c.back"}]}),
            },
            source="two_kinds",
            reaction="paused",
            alerts=DEADLOCK,
            words=["c@v1, d@v1 hold each other up", "b@v2, which is on trial, has no part in it"],
            within_s=6.0,
        ),
        None,
    ),
}


def measure_rows() -> Iterator[Row]:
    """Play all cases and say what came of them; row 9 has a fleet of its own."""
    for number, (case, look_alike) in CASES.items():
        seen = play(case)
        silent = ""
        if look_alike is not None:
            other = play(look_alike)
            silent = f"{look_alike.says} ({_told(other)})"
        yield Row(number, case.says, _told(seen), _when(seen), silent)
    rounds, reports, unconfirmed = count_reports(rounds=10_000)
    yield Row(
        9,
        "timeouts and hedges, snapshots 0 to 5 s apart, no deadlock",
        f"{reports} reports in {rounds} pairs of rounds",
        "",
        f"one round alone would have reported {unconfirmed}",
    )


def _told(seen: Seen) -> str:
    alerts = ", ".join(seen.alerts)
    if seen.reaction == "goes on":
        return alerts or "nothing"
    return f"{alerts}: {seen.reaction}" if alerts else seen.reaction


def _when(seen: Seen) -> str:
    if seen.reaction != "goes on":
        return f"{seen.stood_s:.1f} s"
    return ", ".join(f"{after_s:.1f} s" for after_s, _ in seen.alerts.values())
