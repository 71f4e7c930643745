"""When the watch over floods reads, and what it makes of what it has read."""

from __future__ import annotations

from rolewise.coordinator.flood_watch import LOOK_S, FloodWatch
from rolewise.coordinator.judge.analysis import Analysis
from rolewise.graphs.interactions import Arm
from rolewise.graphs.pulse import Beat, Beats, EdgeArm, Sent

EDGE = ("negotiator", "pricing", "observed")
TASKS = {Arm.CANARY: 6, Arm.BASELINE: 18}
USUAL = {EdgeArm(EDGE, Arm.BASELINE): Sent(messages=18, tasks=18)}
HEAVY = tuple((task, 65) for task in range(6))
FLOOD = USUAL | {EdgeArm(EDGE, Arm.CANARY): Sent(messages=390, tasks=6, heavy=HEAVY)}


class Fleet:
    """A runtime of which only the pulse is asked."""

    def __init__(self) -> None:
        self.beats: list[Beat] = []
        self.asked: list[int] = []

    def live(self, sent, seconds: int = 1) -> None:
        for _ in range(seconds):
            at = len(self.beats)
            self.beats.append(Beat(at=at, sent=sent, tasks=TASKS))

    async def pulse(self, after: int = -1) -> Beats:
        self.asked.append(after)
        return Beats(until=len(self.beats), beats=tuple(self.beats[after + 1 :]))


async def look(watch: FloodWatch, fleet: Fleet, *, weight: float = 50.0, **options) -> None:
    await watch.look(float(len(fleet.beats)), Analysis(**options), weight=weight)


async def test_a_flood_is_a_fact_while_it_goes_on() -> None:
    fleet = Fleet()
    watch = FloodWatch("shop", fleet)
    fleet.live(USUAL, 20)
    await look(watch, fleet)
    for _ in range(2):
        fleet.live(FLOOD)
        await look(watch, fleet)
    assert (watch.facts, watch.alerts) == ((), ())
    fleet.live(FLOOD)
    await look(watch, fleet)
    (fact,) = watch.facts
    assert (fact.kind, fact.reaction) == ("flood", "rollback")
    assert watch.alerts == (fact.sentence,)
    fleet.live(USUAL)
    await look(watch, fleet)
    assert (watch.facts, watch.alerts) == ((), ())
    assert fleet.asked == [-1, 19, 20, 21, 22]


async def test_one_that_comes_after_a_crash_knows_what_is_usual_at_once() -> None:
    fleet = Fleet()
    fleet.live(USUAL, 20)
    fleet.live(FLOOD, 3)
    watch = FloodWatch("shop", fleet)
    await look(watch, fleet)
    fleet.live(FLOOD, 3)
    await look(watch, fleet)
    assert len(watch.facts) == 1
    watch.forget()
    assert (watch.facts, watch.alerts) == ((), ())
    fleet.live(USUAL)
    await look(watch, fleet)
    assert watch.facts == (), "it is over by now"


async def test_a_flood_of_the_trial_before_is_not_the_next_ones() -> None:
    fleet = Fleet()
    watch = FloodWatch("shop", fleet)
    fleet.live(USUAL, 20)
    fleet.live(FLOOD, 5)
    for _ in range(3):  # its replicas start; the last canary's tasks are still on their way out
        await look(watch, fleet, weight=0.0)
        assert (watch.facts, watch.alerts) == ((), ())
        fleet.live(FLOOD)
    await look(watch, fleet, weight=5.0)
    assert watch.facts == ()
    fleet.live(USUAL, 2)
    fleet.live(FLOOD, 3)
    await look(watch, fleet, weight=5.0)
    assert [fact.kind for fact in watch.facts] == ["flood"], "its own one is"


async def test_where_the_plan_holds_it_is_an_alert_only() -> None:
    fleet = Fleet()
    watch = FloodWatch("shop", fleet)
    fleet.live(USUAL, 20)
    await look(watch, fleet)
    fleet.live(FLOOD, 3)
    await look(watch, fleet, on_flood="hold")
    assert watch.facts == ()
    assert len(watch.alerts) == 1


async def test_it_does_not_ask_at_every_pass() -> None:
    fleet = Fleet()
    watch = FloodWatch("shop", fleet)
    for now_s in (0.0, LOOK_S / 2, LOOK_S):
        await watch.look(now_s, Analysis(), weight=0.0)
    assert len(fleet.asked) == 2
