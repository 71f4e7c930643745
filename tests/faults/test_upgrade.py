"""Logs of every version are read for ever; what a newer version wrote is not written behind."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import get_args

import pytest

from rolewise.coordinator.errors import RolewiseError
from rolewise.coordinator.fleet_log import decode_entry
from rolewise.coordinator.journal import Journal
from rolewise.coordinator.rollout.codec import LogUnreadable
from rolewise.coordinator.rollout.events import Event
from rolewise.coordinator.rollout.requests import Abort, Retry
from rolewise.coordinator.rollout.state import Phase
from tests.api.test_problems import check_problem
from tests.api.world import build_world
from tests.faults.record_logs import kind_of, outcome_of_fleet, outcome_of_rollout
from tests.scenario.stage import Stage, given
from tests.scenario.test_operators import PAIR

LOGS = Path(__file__).parent / "logs"
RECORDED = sorted(LOGS.glob("*/*.log"))
NEWER = [
    b'{"type":"CohortMerged","v":1,"at":"2030-01-01T00:00:00Z"}',
    b'{"type":"Resumed","v":2,"at":"2030-01-01T00:00:00Z","by":"ana","reason":"","in":"cell 3"}',
]


@pytest.mark.parametrize("log", RECORDED, ids=lambda log: f"{log.parent.name}/{log.stem}")
def test_a_log_of_an_earlier_version_leads_where_it_led(log: Path) -> None:
    entries = log.read_bytes().splitlines()
    outcome = outcome_of_fleet if log.stem.startswith("fleet") else outcome_of_rollout
    told = json.loads(log.with_suffix(".json").read_text(encoding="utf-8"))
    assert json.loads(json.dumps(outcome(entries))) == told


def test_the_recorded_logs_have_every_kind_of_entry() -> None:
    there = {kind_of(entry) for log in RECORDED for entry in log.read_bytes().splitlines()}
    assert {kind.__name__ for kind in get_args(Event)} <= there
    assert {"FleetRegistered", "RolloutCreated", "RolloutReopened/2"} <= there


def test_an_entry_of_a_fleet_from_before_it_had_a_version_is_read() -> None:
    old = b'RolloutReopened {"at":"2026-11-23T10:00:00Z","by":"ana","rollout":"pair-1"}'
    entry = decode_entry(old)
    assert (entry.rollout, entry.after, entry.events) == ("pair-1", 0, ())


@pytest.mark.parametrize("head", [b"RolloutReopened/3", b"FleetSplit", b"FleetRegistered/x", b""])
def test_an_entry_of_a_fleet_that_is_not_known_is_named(head: bytes) -> None:
    with pytest.raises(LogUnreadable, match="newer Rolewise"):
        decode_entry(head + b" {}")
    with pytest.raises(LogUnreadable, match="field at"):
        decode_entry(b"RolloutReopened/2 {}")


@pytest.mark.parametrize("entry", NEWER)
def test_a_coordinator_writes_nothing_behind_newer_events(
    entry: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async def story(stage: Stage) -> None:
        rollout = await stage.start("v2")
        state = await stage.until(rollout, lambda state: state.phase is Phase.PAUSED)
        stream = f"rollout/{rollout}"
        last = await stage.store.append(stream, [entry], after=state.sequence)
        before = (await stage.runtime.observe()).replicas
        caplog.clear()
        await stage.clock.sleep(60.0)
        assert len(await stage.store.read(stream)) == last
        assert (await stage.runtime.observe()).replicas == before
        told = [record.getMessage() for record in caplog.records]
        assert len(told) == 1, "once, not at every pass"
        assert f"entry {last} of the log cannot be read" in told[0]
        newer = await stage.store.acquire("fleet/pair", "a newer coordinator", 5.0)
        assert newer is not None, "it does not keep the newer one from leading"

        shown = await Journal(stage.store, lambda: stage.journal.now).rollout(rollout)
        assert (shown.phase, shown.sequence) == (Phase.PAUSED, state.sequence)
        assert "did a newer Rolewise write it?" in shown.reason
        assert len(await stage.events(rollout)) == state.sequence
        for verb in (
            Abort(at=stage.journal.now, by="ana", reason="why"),
            Retry(at=stage.journal.now, by="ana"),
        ):
            with pytest.raises(RolewiseError) as refused:
                await stage.journal.request(rollout, verb)
            assert refused.value.kind.code == "log_unreadable"
        assert len(await stage.store.read(stream)) == last

    caplog.set_level(logging.WARNING)
    given(PAIR, story, traffic=False)


def test_nothing_is_started_behind_newer_entries_of_a_fleet() -> None:
    async def story(stage: Stage) -> None:
        plan = (await stage.fleets.plan("pair", "v2")).plan
        fleet = await stage.journal.fleet("pair")
        last = await stage.store.append("fleet/pair", [b"FleetSplit {}"], after=fleet.sequence)
        with pytest.raises(RolewiseError) as refused:
            await stage.journal.start("pair", plan, by="ana", salt="s")
        assert refused.value.kind.code == "log_unreadable"
        assert (await stage.journal.fleet("pair")).registered == fleet.registered
        assert len(await stage.store.read("fleet/pair")) == last

    given(PAIR, story, traffic=False)


async def test_the_api_shows_what_can_be_read_and_says_why_it_does_no_more() -> None:
    world = await build_world()
    async with world.at() as client:
        started = await client.post("/v1/fleets/pair/rollouts", json={"to": "v2"})
        rollout = started.json()["id"]
        await world.lead(lambda state: state.phase is Phase.PAUSED)
        state = await world.fleets.journal.rollout(rollout)
        await world.store.append(f"rollout/{rollout}", [NEWER[0]], after=state.sequence)

        shown = (await client.get(f"/v1/rollouts/{rollout}")).json()
        assert "newer Rolewise" in shown["reason"]
        assert (shown["phase"], shown["allowed_verbs"]) == ("paused", [])
        alerts = (await client.get("/v1/fleets/pair")).json()["alerts"]
        assert any("newer Rolewise" in alert for alert in alerts)
        events = (await client.get(f"/v1/rollouts/{rollout}/events")).json()["events"]
        assert [event["number"] for event in events] == list(range(1, state.sequence + 1))

        verb = f"/v1/rollouts/{rollout}/abort"
        check_problem(await client.post(verb, json={"reason": "x"}), 409, "log_unreadable")
        stream = {"Accept": "text/event-stream", "Last-Event-ID": str(state.sequence)}
        waits = await client.get(f"/v1/rollouts/{rollout}/events", headers=stream)
        check_problem(waits, 409, "log_unreadable")
