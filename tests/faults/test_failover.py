"""A failover that lost an accepted verb: everybody stops, a person is told, nothing forks."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

import pytest

from rolewise.coordinator.controller import Controller
from rolewise.coordinator.fleets import definitions_of
from rolewise.coordinator.journal import Journal, rollout_stream
from rolewise.coordinator.rollout.requests import Promote
from rolewise.coordinator.store.port import StoreForked, StoreUnavailable
from rolewise.coordinator.store.redis import connect_store
from rolewise.fleet.spec import parse_fleet
from tests.api.world import PAIR, build_world, check_problem
from tests.support.redis_servers import RealServer, a_way_to, real_server

SOON_S = 10.0
ROLLOUT = "/v1/rollouts/pair-1"


def follows(replica: RealServer) -> None:
    ends = time.monotonic() + SOON_S
    while replica.operator.info("replication")["master_link_status"] != "up":
        assert time.monotonic() < ends
        time.sleep(0.01)


@pytest.mark.parametrize("comes_back", [True, False], ids=["primary back", "loss accepted"])
async def test_a_lost_verb_stops_api_and_controllers_until_a_person_has_decided(
    tmp_path: Path, comes_back: bool
) -> None:
    with (
        real_server(tmp_path / "primary", repl_diskless_sync_delay="0") as primary,
        real_server(tmp_path / "replica", replicaof=f"127.0.0.1 {primary.port}") as replica,
    ):
        follows(replica)
        async with a_way_to(primary.port) as way:
            store = await connect_store(way.url)
            other = await connect_store(way.url)
            world = await build_world(store)
            journal = Journal(other, lambda: world.fleets.journal.now)
            # In a process of its own, so it has not seen what the API has.
            controller = Controller(
                fleet="pair",
                journal=journal,
                runtime=world.runtime,
                definitions=definitions_of(parse_fleet(PAIR)),
                holder="coordinator",
                tick_s=0.01,
            )
            async with world.at() as client:
                await client.post("/v1/fleets/pair/rollouts", json={"to": "v2"})
                while (await controller.step()).pause is None:  # type: ignore[union-attr]
                    pass
                assert primary.operator.wait(1, int(SOON_S * 1000)) == 1
                replica.operator.replicaof("NO", "ONE")
                accepted = await client.post(f"{ROLLOUT}/abort", json={"reason": "wrong prices"})
                assert accepted.status_code == 202

                way.lead_to(replica.port)
                for one in (store, other):
                    with suppress(StoreUnavailable):
                        await one.keys("")
                log = await other.read(rollout_stream("pair-1"))
                assert len(log) < accepted.json()["sequence"], "the accepted abort is gone"

                ready = await client.get("/readyz")
                assert ready.status_code == 503
                assert "was seen here, but the log now ends with entry" in ready.text
                answer = await client.post(f"{ROLLOUT}/promote", json={"full": True})
                problem = check_problem(answer, 503, "store_forked")
                assert problem["definite"]
                assert "accept the loss" in problem["hint"]
                with pytest.raises(StoreForked):
                    await journal.request("pair-1", Promote(at=journal.now, by="coordinator"))
                assert len(await other.read(rollout_stream("pair-1"))) == len(log)

                if comes_back:
                    way.lead_to(primary.port)
                    for one in (store, other):
                        with suppress(StoreUnavailable):
                            await one.keys("")
                else:
                    await store.accept_loss()
                    await other.accept_loss()
                    world.fleets.journal._folded.clear()  # as a process that begins anew
                    again = await client.post(f"{ROLLOUT}/abort", json={"reason": "wrong prices"})
                    assert again.status_code == 202
                is_over = False
                while not is_over:
                    with suppress(StoreUnavailable):  # a connection of before is cut once
                        state = await controller.step()
                        is_over = state is not None and state.phase.is_final
                view = (await client.get(ROLLOUT)).json()
                assert (view["phase"], view["reason"]) == ("rolled_back", "wrong prices")
                assert (await client.get("/readyz")).status_code == 200
            await store.close()
            await other.close()
