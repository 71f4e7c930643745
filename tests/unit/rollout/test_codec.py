"""Events survive the store byte for byte, and a damaged log is named, not guessed at."""

import json
import math
from dataclasses import fields
from datetime import UTC
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolewise.coordinator.judge.verdict import HardFact, Ruling, SignalEvidence, Verdict
from rolewise.coordinator.plan.plan import Analyse, Pause, SetWeight
from rolewise.coordinator.rollout.codec import LogUnreadable, decode_event, encode_event
from rolewise.coordinator.rollout.events import Event, PauseCause, VerdictGiven, WeightSet
from rolewise.fleet.routing.table import RoleRoute, RoutingTable
from tests.unit.rollout.world import T0, a_plan, a_stage

TEXT = st.text(max_size=8)
NUMBERS = st.integers(0, 99)
FLOATS = st.floats(allow_nan=False)
TIMES = st.datetimes(timezones=st.just(UTC))
STEPS = st.lists(
    st.builds(SetWeight, weight=st.floats(0, 100))
    | st.builds(Pause, duration_s=st.none() | st.floats(0, 99))
    | st.builds(Analyse, evidence=st.sampled_from(["gate", "full"])),
    max_size=4,
)
ROUTES = st.builds(
    RoleRoute, role=TEXT, stable=TEXT, canary=st.just("v2"), weight=st.floats(0, 100)
)
TABLES = st.builds(
    RoutingTable,
    number=NUMBERS,
    routes=st.lists(ROUTES, max_size=2).map(tuple),
    withdrawn=st.frozensets(st.tuples(TEXT, TEXT), max_size=3),
)
FACTS = st.lists(
    st.builds(HardFact, kind=TEXT, sentence=TEXT, details=st.just(("a", "b"))), max_size=2
).map(tuple)
SIGNALS = st.builds(
    SignalEvidence,
    name=TEXT,
    ruling=st.sampled_from(Ruling),
    baseline=st.none() | FLOATS,
    canary=FLOATS,
    difference=FLOATS,
    interval=st.none() | st.tuples(FLOATS, FLOATS),
    limit=FLOATS,
    e_harm=FLOATS,
    e_safe=FLOATS,
    harm_at=FLOATS,
    safe_at=FLOATS,
    tasks_baseline=NUMBERS,
    tasks_canary=NUMBERS,
)
FIELDS = {
    "at": TIMES,
    "by": TEXT,
    "reason": TEXT,
    "rollout": TEXT,
    "plan": STEPS.map(lambda steps: a_plan(a_stage("supplier", *steps))),
    "table": TABLES,
    "salt": TEXT,
    "stage": NUMBERS,
    "step": NUMBERS,
    "role": TEXT,
    "version": TEXT,
    "replicas": NUMBERS,
    "from_weight": FLOATS,
    "to_weight": FLOATS,
    "limit_s": FLOATS,
    "command": TEXT,
    "ok": st.booleans(),
    "detail": TEXT,
    "verdict": st.builds(
        Verdict,
        ruling=st.sampled_from(Ruling),
        reason=TEXT,
        signals=st.lists(SIGNALS, max_size=2).map(tuple),
        facts=FACTS,
    ),
    "cause": st.sampled_from(PauseCause),
    "full": st.booleans(),
    "stages": st.lists(NUMBERS, max_size=3).map(tuple),
    "facts": FACTS,
    "left_by": TEXT,
    "leftovers": st.lists(st.tuples(TEXT, TEXT), max_size=2).map(tuple),
    "left": st.just(("stop supplier v2",)),
    "holder": TEXT,
    "fencing": NUMBERS,
}


def events_of(kind):
    return st.builds(kind, **{field.name: FIELDS[field.name] for field in fields(kind)})


@given(st.one_of([events_of(kind) for kind in get_args(Event)]))
def test_every_event_round_trips(event):
    entry = encode_event(event)
    assert decode_event(entry) == event
    assert encode_event(decode_event(entry)) == entry
    assert json.loads(entry)["type"] == type(event).__name__


def test_what_json_cannot_say_is_written_as_text():
    verdict = Verdict(ruling=Ruling.SAFE, reason="ok")
    event = VerdictGiven(at=T0, verdict=verdict, reason="é")
    assert b"\xc3\xa9" in encode_event(event)
    for number, words in ((math.inf, b'"Infinity"'), (-math.inf, b'"-Infinity"')):
        event = WeightSet(at=T0, role="a", version="v2", from_weight=0.0, to_weight=number)
        assert words in encode_event(event)
        assert decode_event(encode_event(event)) == event


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (b"{", "not JSON"),
        (b"[]", "is a list"),
        (b'{"type":"Exploded","v":1}', "'Exploded'"),
        (b'{"type":"RolledBack","v":2}', "newer Rolewise"),
        (b'{"type":["x"],"v":1}', "want a known type"),
        (b'{"type":"StageStarted","v":1,"at":"2026-01-01T00:00:00Z","stage":0}', "field salt"),
        (b'{"type":"RolledBack","v":1,"at":"2026-01-01T00:00:00"}', "want a time in UTC"),
    ],
)
def test_what_is_no_event_is_named(entry, words):
    with pytest.raises(LogUnreadable, match=words):
        decode_event(entry)
