"""Failures of waiting, injected: deadlocks, lost messages, blocked loops, and their look-alikes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tests.scenario.detector_rows import Row
from tests.scenario.phantoms import count_reports
from tests.scenario.wait_fleets import (
    QUICK,
    BlockingRuntime,
    Case,
    Does,
    Loses,
    Role,
    Seen,
    kill,
    on_the_network,
    play,
)

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
            settles_s=1.0,
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
            says="deadlock among stable versions only, from before the rollout",
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
