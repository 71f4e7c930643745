"""The supply chain's versions do what their names promise, on the order source's own traffic."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from rolewise.agents import Agent, load_agent
from rolewise.agents.errors import AskFailed, AskTimedOut, MessageRefused
from rolewise.agents.examples.supply_chain import Negotiator, orders
from rolewise.agents.examples.supply_chain.bodies import Receipt
from rolewise.fleet.spec import load_fleet
from tests.support.fake_fleet import FakeFleet

ORDERS = 1500
SHORT = {"order_id": "o-short", "item": "lidar", "quantity": 40, "due_days": 14, "max_price": 2e3}


SPEC = load_fleet(Path(__file__).parents[3] / "configs" / "supply-chain.yaml")


def a_fleet(release: str = "v1", *, only: tuple[str, ...] = ()) -> FakeFleet:
    """A release of the shipped file; with `only`, just these roles leave v1."""
    changed = {r: v for r, v in SPEC.releases[release].items() if not only or r in only}
    versions = SPEC.releases[SPEC.release] | changed
    agents: dict[str, Agent] = {}
    for role, version in versions.items():
        definition = SPEC.roles[role].versions[version]
        agents[role] = load_agent(definition.agent, definition.config)
    return FakeFleet(agents)


@dataclass
class Measured:
    orders: int = 0
    completed: int = 0
    seconds: float = 0.0
    tokens: int = 0
    causes: Counter[str] = field(default_factory=Counter)
    sent: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    tool_calls: int = 0
    tool_errors: int = 0
    reference: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        return self.completed / self.orders

    @property
    def counters(self) -> int:
        return self.sent["negotiator", "supplier", "counter"]


async def measure(fleet: FakeFleet, number: int = ORDERS, seed: int = 5) -> Measured:
    seen_all = Measured(orders=number)
    for order in itertools.islice(orders(seed), number):
        (_, error), seen = await fleet.attempt("orchestrator", order["body"], kind=order["kind"])
        seen_all.completed += error is None
        if error is not None:
            failure = getattr(error, "failure", None)
            seen_all.causes[failure.cause if failure else error.code] += 1
        seen_all.seconds += seen.seconds
        seen_all.tokens += seen.tokens.total()
        seen_all.sent += seen.sent
        seen_all.tool_calls += seen.tools.total()
        seen_all.tool_errors += seen.tool_errors.total()
    return seen_all


@pytest.fixture(scope="module")
def v1() -> Measured:
    return asyncio.run(measure(a_fleet()))


async def test_v1_completes_about_95_percent_and_says_why_not(v1: Measured) -> None:
    assert 0.93 <= v1.rate <= 0.98
    assert set(v1.causes) == {"NoAgreement", "TooLate"}
    assert v1.seconds / ORDERS < 0.1


async def test_v1_has_a_small_rate_of_tool_errors(v1: Measured) -> None:
    assert 0 < v1.tool_errors / ORDERS < 0.05


@pytest.mark.parametrize(
    ("roles", "fewer_counters"),
    [
        (("pricing",), True),
        (("negotiator",), True),
        (("orchestrator",), False),
        (("pricing", "negotiator"), True),
        (("pricing", "negotiator", "orchestrator"), True),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, tuple) else "",
)
async def test_v2_is_no_worse_and_faster_in_every_mix(
    v1: Measured, roles: tuple[str, ...], fewer_counters: bool
) -> None:
    """A rollout runs through these mixes: pricing first, the orchestrator last."""
    v2 = await measure(a_fleet("v2", only=roles))
    assert v2.completed >= v1.completed
    assert v2.seconds < v1.seconds
    assert (v2.counters < 0.95 * v1.counters) is fewer_counters


async def test_wrong_completes_about_70_percent_by_overpaying() -> None:
    wrong = await measure(a_fleet("v3-wrong"))
    assert 0.64 <= wrong.rate <= 0.76
    assert wrong.causes["OverLimit"] > 0.9 * wrong.causes.total()


async def test_flood_sends_ten_times_the_messages_and_nothing_else_changes(v1: Measured) -> None:
    flood = await measure(a_fleet("v3-flood"), 200)
    calm = await measure(a_fleet(), 200)
    assert flood.sent.total() >= 10 * calm.sent.total()
    observed = ("negotiator", "pricing", "observed")
    assert flood.sent[observed] > 100 * calm.sent[observed]
    flood.sent[observed] = calm.sent[observed] = 0
    assert flood.sent == calm.sent
    assert flood.completed == calm.completed


async def test_slow_takes_five_to_seven_times_as_long(v1: Measured) -> None:
    slow = await measure(a_fleet("v3-slow"), 500)
    assert 5 <= (slow.seconds / 500) / (v1.seconds / ORDERS) <= 7


async def test_costly_uses_three_times_the_tokens(v1: Measured) -> None:
    costly = await measure(a_fleet("v3-costly"), 500)
    assert 2.5 <= (costly.tokens / 500) / (v1.tokens / ORDERS) <= 4
    assert costly.seconds / 500 == pytest.approx(v1.seconds / ORDERS, rel=0.1)


async def test_loop_bargains_until_the_deadline_without_progress() -> None:
    fleet = a_fleet("v3-loop")
    (_, error), seen = await fleet.attempt("orchestrator", SHORT)
    assert isinstance(error, AskTimedOut)
    counters = seen.sent["negotiator", "supplier", "counter"]
    assert counters > 200
    assert seen.progress.count("gap closer") < 20


async def test_deadlock_version_asks_back_while_the_negotiator_waits() -> None:
    _, calm = await a_fleet().run("orchestrator", SHORT)
    receipt, seen = await a_fleet("v3-deadlock").run("orchestrator", SHORT)
    assert seen.sent["supplier", "negotiator", "confirm"] == 1
    assert seen.sent.total() == calm.sent.total() + 1
    assert isinstance(receipt, Receipt)


async def test_the_parallel_orchestrator_gives_the_place_away_when_the_order_fails() -> None:
    hopeless = SHORT | {"max_price": 1.0}
    fleet = a_fleet("v2", only=("orchestrator",))
    (_, error), seen = await fleet.attempt("orchestrator", hopeless)
    assert isinstance(error, AskFailed)
    assert "the limit 1.00" in str(error)
    assert seen.sent["orchestrator", "carrier", "cancel"] == 1


async def test_an_order_ends_the_same_way_each_time_and_in_each_order() -> None:
    bodies = [order["body"] for order in itertools.islice(orders(9), 40)]
    forward = [await a_fleet().attempt("orchestrator", body, task="a") for body in bodies]
    fleet = a_fleet()
    backward = [await fleet.attempt("orchestrator", body, task="b") for body in bodies[::-1]]
    for ((one, error), seen), ((other, error_2), seen_2) in zip(
        forward, backward[::-1], strict=True
    ):
        assert one == other
        assert str(error) == str(error_2)
        assert seen == seen_2


async def test_a_body_that_is_no_order_is_refused_with_the_field() -> None:
    with pytest.raises(MessageRefused, match=r"field quantity = 0"):
        await a_fleet().run("orchestrator", SHORT | {"quantity": 0})


async def test_an_item_that_nobody_sells_fails_with_those_that_are_sold() -> None:
    with pytest.raises(AskFailed, match=r"'anvil': want one of battery, .*wheel"):
        await a_fleet().run("orchestrator", SHORT | {"item": "anvil"})


def test_order_source_is_endless_and_fixed_by_its_seed() -> None:
    first = list(itertools.islice(orders(3), 300))
    assert first == list(itertools.islice(orders(3), 300))
    assert first != list(itertools.islice(orders(4), 300))
    assert len({order["body"]["order_id"] for order in first}) == 300
    assert set(first[0]) == {"kind", "body", "attributes"}


@pytest.mark.parametrize("setting", [{"pace": -1.0}, {"verbosity": -0.5}])
def test_a_negative_setting_is_refused(setting: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="want numbers from 0"):
        Negotiator(**setting)


@pytest.mark.parametrize("release", sorted(SPEC.releases))
async def test_versions_speak_and_accept_what_the_file_declares(release: str) -> None:
    """The plan's check of message kinds is only as good as these lists."""
    fleet = a_fleet(release)
    chosen = SPEC.releases[SPEC.release] | SPEC.releases[release]
    spoken: dict[str, set[str]] = {}
    for order in itertools.islice(orders(11), 60):
        _, seen = await fleet.attempt("orchestrator", order["body"], kind=order["kind"])
        for sender, _, kind in seen.sent:
            spoken.setdefault(sender, set()).add(f"{kind}@1")
    for role, version in chosen.items():
        declared = SPEC.roles[role].versions[version]
        assert spoken.get(role, set()) <= set(declared.speaks), role
        assert {f"{kind}@1" for kind in fleet.agents[role].accepts} == set(declared.accepts), role
