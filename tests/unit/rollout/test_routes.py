"""A rollout changes one route of a table, and of that route only what it must."""

from dataclasses import replace

from rolewise.coordinator.rollout.routes import make_stable, try_canary, withdraw_new
from rolewise.fleet.routing.table import RoleRoute, RoutingTable
from tests.unit.rollout.world import a_stage

STAGE = a_stage("supplier")
PLAIN = RoleRoute(role="supplier", stable="v1", idempotent=True)
OTHER = RoleRoute(role="carrier", stable="v7", canary="v8", weight=3.0, salt="x")
TABLE = RoutingTable(number=4, routes=(OTHER, PLAIN), withdrawn=frozenset({("carrier", "v6")}))
NEW = ("supplier", "v2")


def test_a_canary_is_tried_made_stable_and_withdrawn():
    tried = try_canary(TABLE, STAGE, "salt", 5.0)
    assert tried == replace(
        TABLE, number=5, routes=(OTHER, replace(PLAIN, canary="v2", weight=5.0, salt="salt"))
    )
    stable = make_stable(tried, STAGE)
    assert stable == replace(TABLE, number=6, routes=(OTHER, replace(PLAIN, stable="v2")))
    back = withdraw_new(stable, STAGE)
    assert back == replace(TABLE, number=7, withdrawn=TABLE.withdrawn | {NEW})


def test_a_canary_is_drawn_as_its_stage_says_and_no_longer_than_the_trial():
    tried = try_canary(TABLE, replace(STAGE, bucket_by="user"), "salt", 5.0)
    assert tried.by_role["supplier"].bucket_by == "user"
    assert make_stable(tried, STAGE).by_role["supplier"].bucket_by == "task"
    assert withdraw_new(tried, STAGE).by_role["supplier"].bucket_by == "task"


def test_a_withdrawn_version_may_be_tried_again():
    withdrawn = withdraw_new(TABLE, STAGE)
    assert try_canary(withdrawn, STAGE, "salt", 5.0).withdrawn == TABLE.withdrawn
