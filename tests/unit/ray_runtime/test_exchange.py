from __future__ import annotations

import asyncio
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rolewise.agents.message import Nature
from rolewise.fleet.local.clock import run_virtual
from rolewise.fleet.ray import exchange
from tests.unit.ray_runtime.wires import Far, Fate, Wire, request, until


def test_many_asks_share_few_exchanges_and_each_gets_its_own_answer() -> None:
    async def main() -> None:
        wire = Wire(Far())
        link = wire.link()
        replies = await asyncio.gather(*(link.ask(request(n, {"n": n})) for n in range(1, 301)))
        assert [reply.body for reply in replies] == [{"n": n} for n in range(1, 301)]
        assert wire.carried <= 3
        assert wire.most_under_way <= 2

    run_virtual(main())


@pytest.mark.parametrize(
    ("asks", "carried"), [(1, [1]), (31, [31]), (33, [17, 16]), (1100, [512, 512])]
)
def test_many_at_once_go_in_halves_so_that_both_ends_have_work(
    asks: int, carried: list[int]
) -> None:
    async def main() -> None:
        wire = Wire(Far())
        link = wire.link()
        await asyncio.gather(*(link.ask(request(n)) for n in range(1, asks + 1)))
        assert wire.messages[: len(carried)] == carried
        assert sum(wire.messages) == asks

    run_virtual(main())


def test_a_fast_ask_does_not_wait_for_a_slow_one_of_its_batch() -> None:
    async def main() -> None:
        far = Far()
        link = Wire(far).link()
        slow = asyncio.ensure_future(link.ask(request(1, {"behind": "door"})))
        fast = await link.ask(request(2, "fast"))
        assert fast.body == "fast"
        assert not slow.done()
        later = await link.ask(request(3, "later"))  # beside the poll that waits for the slow one
        assert later.body == "later"
        far.door("door").set()
        assert (await slow).failure is None

    run_virtual(main())


def test_an_exchange_polls_as_long_as_a_reply_is_awaited() -> None:
    async def main() -> None:
        far = Far(poll_s=1.0)
        wire = Wire(far)
        slow = asyncio.ensure_future(wire.link().ask(request(1, {"behind": "door"})))
        await asyncio.sleep(5.5)
        assert wire.under_way == 1
        assert wire.carried == 6
        far.door("door").set()
        assert (await slow).failure is None
        await asyncio.sleep(5.0)
        assert wire.carried <= 7  # nothing is awaited, nobody polls

    run_virtual(main())


def test_a_cancelled_ask_is_withdrawn_and_its_reply_dropped() -> None:
    async def main() -> None:
        far = Far()
        link = Wire(far).link()
        ask = asyncio.ensure_future(link.ask(request(1, {"behind": "door"})))
        await until(lambda: far.handled == [1])
        ask.cancel()
        with pytest.raises(asyncio.CancelledError):
            await ask
        await until(lambda: far.withdrawn == [1])
        assert (await link.ask(request(2, "after"))).body == "after"
        assert not link.is_busy

    run_virtual(main())


def test_an_ask_cancelled_before_it_left_never_leaves() -> None:
    async def main() -> None:
        far = Far()
        link = Wire(far).link()
        ask = asyncio.ensure_future(link.ask(request(1, "never")))
        await asyncio.sleep(0)
        ask.cancel()
        assert (await link.ask(request(2, "yes"))).body == "yes"
        assert far.handled == [2]
        assert far.withdrawn == []

    run_virtual(main())


@settings(max_examples=100, deadline=None)
@given(
    fates=st.lists(
        st.sampled_from(["arrives", "lost on the way there", "lost on the way back"]), max_size=8
    ),
    slow=st.sets(st.integers(1, 6)),
    split_from=st.sampled_from([2, exchange.SPLIT_MESSAGES]),
)
def test_whatever_is_lost_each_message_is_handled_once_and_answered(
    fates: list[Fate], slow: set[int], split_from: int
) -> None:
    async def main() -> None:
        far = Far()
        wire = Wire(far, ["arrives", *fates])
        link = wire.link(unreachable_s=60.0)
        await link.ask(request(100, "hello"))  # a first word, so that it knows whom it speaks with
        asks = [
            asyncio.ensure_future(link.ask(request(n, {"behind": f"{n}"} if n in slow else n)))
            for n in range(1, 7)
        ]
        await asyncio.sleep(0.05)
        for n in slow:
            far.door(f"{n}").set()
        replies = await asyncio.gather(*asks)
        assert [reply.failure for reply in replies] == [None] * 6
        assert [reply.to for reply in replies] == list(range(1, 7))
        assert sorted(far.handled) == [1, 2, 3, 4, 5, 6, 100]

    with patch.object(exchange, "SPLIT_MESSAGES", split_from):
        run_virtual(main())


def test_what_a_former_life_had_is_lost_and_what_it_never_had_goes_to_the_new_one() -> None:
    async def main() -> None:
        far = Far("worker.0")
        wire = Wire(far, ["arrives", "lost on the way back"])
        link = wire.link()
        await link.ask(request(1, "hello"))
        had = asyncio.ensure_future(link.ask(request(2, {"behind": "door"})))
        await until(lambda: far.handled == [1, 2])
        wire.far = Far("worker.1")
        far.door("door").set()  # the exchange that carried it now ends, and is lost
        new = await link.ask(request(3, "fresh"))
        assert new.body == "fresh"
        failure = (await had).failure
        assert failure is not None
        assert failure.code == "replica_lost"
        assert wire.far.handled == [3]

    run_virtual(main())


def test_a_dead_replica_fails_its_asks_at_once() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        wire = Wire(Far(), ["dead"])
        link = wire.link()
        reply = await link.ask(request(1, "lost"))
        assert reply.failure is not None
        assert reply.failure.code == "replica_lost"
        assert loop.time() < 0.1
        assert (await link.ask(request(2, "later"))).body == "later"  # a new life answers

    run_virtual(main())


def test_a_replica_out_of_reach_is_given_up_within_seconds() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        wire = Wire(Far(), ["arrives", *["lost on the way there"] * 1000])
        link = wire.link(unreachable_s=3.0)
        await link.ask(request(1, "hello"))
        reply = await link.ask(request(2, "lost"))
        assert reply.failure is not None
        assert reply.failure.code == "replica_lost"
        assert 3.0 <= loop.time() < 4.0

    run_virtual(main())


def test_a_full_outbox_makes_askers_wait_and_loses_nothing() -> None:
    async def main() -> None:
        far = Far()
        wire = Wire(far)
        link = wire.link(outbox_limit=10)
        asks = [asyncio.ensure_future(link.ask(request(n, n))) for n in range(1, 101)]
        await asyncio.sleep(0.0005)  # nothing has arrived yet
        assert (wire.under_way, len(link._open)) == (2, 30)  # two exchanges and a full outbox
        replies = await asyncio.gather(*asks)
        assert [reply.body for reply in replies] == list(range(1, 101))

    run_virtual(main())


def test_a_body_that_does_not_travel_fails_alone() -> None:
    async def main() -> None:
        link = Wire(Far()).link()
        good, bad, answer, broken = await asyncio.gather(
            link.ask(request(1, "good")),
            link.ask(request(2, (n for n in range(3)))),
            link.ask(request(3, {"answer": "unpicklable"})),
            link.ask(request(4, {"raise": "a fault of the runtime"})),
        )
        assert good.body == "good"
        assert bad.failure is not None
        assert bad.failure.code == "message_refused"
        assert "generator" in bad.failure.message
        assert broken.failure is not None
        assert "a fault of the runtime" in broken.failure.message
        assert answer.failure is None  # a lambda goes by value

    run_virtual(main())


def test_an_event_is_taken_once_and_nobody_answers() -> None:
    async def main() -> None:
        far = Far()
        wire = Wire(far, ["arrives", "lost on the way back"])
        link = wire.link()
        await link.ask(request(1))
        assert await link.tell(request(2, "told", Nature.EVENT)) is None
        assert far.accepted == ["told"]

    run_virtual(main())


def test_a_closed_link_fails_what_is_open_and_takes_nothing_more() -> None:
    async def main() -> None:
        far = Far()
        link = Wire(far).link()
        ask = asyncio.ensure_future(link.ask(request(1, {"behind": "door"})))
        await until(lambda: far.handled == [1])
        link.close()
        codes = [
            reply.failure and reply.failure.code
            for reply in (await ask, await link.ask(request(2)))
        ]
        assert codes == ["replica_lost", "no_replica"]

    run_virtual(main())


def test_what_runs_for_a_caller_that_fell_silent_is_withdrawn() -> None:
    async def main() -> None:
        far = Far(poll_s=1.0, silence_s=5.0)
        wire = Wire(far)
        link = wire.link()
        ask = asyncio.ensure_future(link.ask(request(1, {"behind": "door"})))
        await asyncio.sleep(20.0)
        assert far.withdrawn == []  # it polls, so it lives
        link.close()
        await ask
        await asyncio.sleep(12.0)
        assert far.withdrawn == [1]

    run_virtual(main())
