"""The demo's bad versions on real processes: each is rolled back by a detector made for it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from rolewise.coordinator.cli.screen import rollout_lines
from rolewise.coordinator.fleets import Fleets
from rolewise.coordinator.rehearse import workload_of
from rolewise.coordinator.rollout.events import StepStarted
from rolewise.coordinator.rollout.requests import Promote
from rolewise.coordinator.rollout.state import Phase, Rollout
from rolewise.coordinator.server import FleetFile, Server
from rolewise.coordinator.views.rollout import view_rollout
from rolewise.fleet.spec import parse_fleet

pytestmark = [pytest.mark.ray, pytest.mark.alone]
FILE = Path(__file__).parents[2] / "configs" / "supply-chain.yaml"
GOOD = "negotiator=v2"
BAD = ("v3-flood", "v3-loop", "v3-deadlock")
WARM_UP_S = 7.0
LIMIT_S = 90.0
SECONDS = 20.0
"""Between the step at which the new version gets half of the tasks and the way back."""


@dataclass(frozen=True)
class Played:
    """Where a rollout ended, how long after its step of 50 %, and what `rollout status` says."""

    state: Rollout
    seconds: float
    status: str


def short(text: str) -> str:
    """Return the fleet's file with two steps, and no judge to wait for on the way up.

    Signals that see how busy this machine is are left out: they are not what is tested.
    """
    begin, end = text.index("    steps:"), text.index("    analysis: order-health")
    steps = (
        "[{set_weight: 5}, {pause: {duration: 2s}}, "
        "{set_weight: 50}, {pause: {duration: 30s}}, {set_weight: 100}]"
    )
    text = f"{text[:begin]}    steps: {steps}\n{text[end:]}".replace("rate: 30", "rate: 20")
    return text[: text.index("      # More than 30 % slower")]


@pytest.fixture(scope="module")
def played(_local_ray: None, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Played]:
    """Play all rollouts one after another on one fleet."""
    text = short(FILE.read_text())
    file = FleetFile(spec=parse_fleet(text), text=text, file="supply-chain.yaml")

    async def main() -> Mapping[str, Played]:
        async with Server([file], data=tmp_path_factory.mktemp("detectors")) as fleets:
            work = workload_of(file.spec, seed=1).run(fleets.runtime("supply-chain"))
            traffic = asyncio.create_task(work)
            try:
                await asyncio.sleep(WARM_UP_S)  # what is usual is learnt from traffic
                return {to: await play(fleets, to) for to in (*BAD, GOOD)}
            finally:
                traffic.cancel()
                with suppress(asyncio.CancelledError):
                    await traffic

    return asyncio.run(main())


async def play(fleets: Fleets, to: str) -> Played:
    journal = fleets.journal
    rollout = (await fleets.start("supply-chain", to, by="test")).rollout
    state = await journal.rollout(rollout)
    async with asyncio.timeout(LIMIT_S):
        while not state.phase.is_final:
            await journal.wait(rollout, after=state.sequence, timeout_s=1.0)
            state = await journal.rollout(rollout)
            newest = await journal.newest_verdict(rollout)
            if to == GOOD and newest is not None and newest.verdict.tasks_canary >= 60:
                with suppress(Exception):
                    await journal.request(rollout, Promote(at=journal.now, by="test", full=True))
    half = [
        event.at
        for _, event in await journal.events(rollout)
        if isinstance(event, StepStarted) and event.step == 2
    ]
    begun = state.rollback.since if state.rollback is not None else state.since
    seconds = (begun - half[0]).total_seconds() if half and begun is not None else 0.0
    status = "\n".join(rollout_lines(view_rollout(state), journal.now))
    return Played(state, seconds, status)


def rolled_back(played: Played) -> str:
    """Return why it was rolled back, and see to it that this took seconds only."""
    assert played.state.phase is Phase.ROLLED_BACK, played.status
    assert played.seconds < SECONDS
    return played.state.reason


def test_v3_flood_is_rolled_back_by_the_flood_guard_or_for_its_loops(
    played: Mapping[str, Played],
) -> None:
    """A flood goes round in circles, too; who says so first is a race of a second.

    In virtual time the guard is first: tests/scenario/test_floods.py.
    """
    flood = played["v3-flood"]
    reason = rolled_back(flood)
    if reason.startswith("harm: "):
        assert_looping(flood)
    else:
        assert reason.startswith("flood on negotiator -> pricing: observed of canary tasks"), reason
        assert "canary tasks send" in flood.status
        assert "0 baseline tasks flood" in flood.status
        assert "the canary's own" in flood.status


def test_v3_loop_is_rolled_back_for_its_loops(played: Mapping[str, Played]) -> None:
    """Whoever bargains for ever also sends much, and fails orders: what tells first differs."""
    loop = played["v3-loop"]
    reason = rolled_back(loop)
    if reason.startswith("harm: "):
        assert_looping(loop)
    else:
        assert reason.startswith("flood on negotiator -> supplier: counter of canary"), loop.status


def assert_looping(played: Played) -> None:
    assert played.state.verdict is not None
    assert "looping" in played.state.verdict.named, played.status
    assert "✗ looping" in played.status


def test_v3_deadlock_is_rolled_back_with_its_circle(played: Mapping[str, Played]) -> None:
    reason = rolled_back(played["v3-deadlock"])
    assert reason.startswith("deadlock confirmed in two rounds of snapshots"), reason
    status = played["v3-deadlock"].status
    assert "supplier@v3-deadlock" in status
    assert "for the reply to confirm of negotiator@v1#" in status


def test_v2_is_not(played: Mapping[str, Played]) -> None:
    good = played[GOOD]
    assert good.state.phase is Phase.COMPLETED, good.status
    assert not good.state.paused_for
