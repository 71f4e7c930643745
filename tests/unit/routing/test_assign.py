"""Arms are drawn for buckets: sticky, nested, independent by salt, equal in every process."""

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolewise.agents import Address
from rolewise.fleet.routing.assign import assigned_version, assignments, bucket_of, place
from rolewise.fleet.routing.router import Router
from rolewise.fleet.routing.table import RoleRoute, RoutingTable
from rolewise.graphs.interactions import Arm


@dataclass(frozen=True)
class Task:
    task: str
    conversation: str = ""
    attributes: Mapping[str, Any] = field(default_factory=dict)
    retry_of: str = ""


IDS = st.text(min_size=1, max_size=12)
VALUES = st.one_of(IDS, st.integers(), st.booleans(), st.lists(st.integers(), max_size=3))
TASKS = st.builds(
    Task,
    task=IDS,
    conversation=st.just("") | IDS,
    attributes=st.dictionaries(st.sampled_from(["user", "site"]), VALUES, max_size=2),
    retry_of=st.just("") | IDS,
)
WAYS = st.sampled_from(["task", "conversation", "user"])
ROUTES = st.builds(
    RoleRoute,
    role=st.just("buyer"),
    stable=st.just("v1"),
    canary=st.just("v2"),
    weight=st.floats(0, 100),
    salt=IDS,
    bucket_by=WAYS,
)


def is_canary(route: RoleRoute, task: Task) -> bool:
    return assigned_version(route, task) == "v2"


@given(ROUTES, TASKS, st.floats(0, 100))
def test_a_higher_weight_only_adds_tasks(route: RoleRoute, task: Task, other: float) -> None:
    low, high = sorted((route.weight, other))
    if is_canary(replace(route, weight=low), task):
        assert is_canary(replace(route, weight=high), task)


@given(ROUTES, TASKS)
def test_weight_0_takes_none_and_weight_100_takes_all(route: RoleRoute, task: Task) -> None:
    assert not is_canary(replace(route, weight=0.0), task)
    assert is_canary(replace(route, weight=100.0), task)


@given(ROUTES, TASKS, TASKS)
def test_tasks_of_one_bucket_have_one_arm_and_one_unit(
    route: RoleRoute, one: Task, other: Task
) -> None:
    if bucket_of(route.bucket_by, one) != bucket_of(route.bucket_by, other):
        return
    assert is_canary(route, one) == is_canary(route, other)
    table = RoutingTable(number=1, routes=(route,))
    units = {(a.unit or t.task) for t in (one, other) for a in assignments(table, t)}
    assert units == {bucket_of(route.bucket_by, one)}


@pytest.mark.parametrize("way", ["task", "conversation", "user", "site"])
@given(task=TASKS)
def test_a_new_attempt_is_drawn_as_the_first_was(way: str, task: Task) -> None:
    first = replace(task, retry_of="")
    again = replace(first, task=f"{task.task}-again", retry_of=task.task)
    assert bucket_of(way, again) == bucket_of(way, first)
    table = RoutingTable(
        number=1,
        routes=(RoleRoute(role="r", stable="v1", canary="v2", weight=50, salt="s", bucket_by=way),),
    )
    (before,), (after,) = assignments(table, first), assignments(table, again)
    assert before.arm == after.arm
    assert after.unit == (before.unit or task.task)


@given(st.sampled_from(["conversation", "user"]), IDS)
def test_a_task_without_it_is_drawn_by_its_own_id(way: str, name: str) -> None:
    table = RoutingTable(
        number=1,
        routes=(RoleRoute(role="r", stable="v1", canary="v2", weight=50, salt="s", bucket_by=way),),
    )
    bare = [
        Task(name),
        Task(name, conversation=name),
        Task(name, attributes={"user": None}),
        Task(name, attributes={"user": ""}),
    ]
    drawn = {assignments(table, task) for task in bare}
    assert len(drawn) == 1
    assert {a.unit for (a,) in drawn} == {""}


def test_values_that_are_no_text_are_buckets_too() -> None:
    values = [0, 1, False, 2.5, [1, 2], {"b": 1, "a": 2}]
    buckets = [bucket_of("user", Task("t", attributes={"user": value})) for value in values]
    assert buckets == ["0", "1", "false", "2.5", "[1, 2]", '{"a": 2, "b": 1}']


def test_a_weight_takes_its_share_of_buckets_and_salts_are_independent() -> None:
    users = [Task(f"t{n}", attributes={"user": f"u{n}"}) for n in range(4000)]
    route = RoleRoute(role="r", stable="v1", canary="v2", weight=25.0, salt="one", bucket_by="user")
    first = [is_canary(route, user) for user in users]
    other = [is_canary(replace(route, salt="two"), user) for user in users]
    both = sum(a and b for a, b in zip(first, other, strict=True))
    # Five standard deviations of 4000 fair draws.
    assert sum(first) == pytest.approx(1000, abs=5 * 27.4)
    assert both == pytest.approx(250, abs=5 * 15.3)


@given(TASKS, ROUTES)
def test_the_router_sends_a_task_where_its_account_says(task: Task, route: RoleRoute) -> None:
    router = Router()
    router.install(RoutingTable(number=1, routes=(route,)))
    router.set_replicas([Address(role="buyer", version=v, replica=1) for v in ("v1", "v2")])
    (assignment,) = assignments(RoutingTable(number=1, routes=(route,)), task)
    wanted = "v2" if assignment.arm is Arm.CANARY else "v1"
    assert router.version_for("buyer", task, 1) == wanted
    assert router.pick("buyer", task, 1).version == wanted


def test_the_draw_is_the_same_in_a_process_with_other_hash_seeds() -> None:
    attributes = {"user": {"name": "ana", "teams": [1, 2]}}
    code = (
        "import json, sys\n"
        "from types import SimpleNamespace\n"
        "from rolewise.fleet.routing.assign import bucket_of, place\n"
        "task = SimpleNamespace(task='t', conversation='c', retry_of='',\n"
        "                       attributes=json.loads(sys.argv[1]))\n"
        "print([place('s', bucket_of(way, task)) for way in ('task', 'conversation', 'user')])\n"
    )
    task = Task("t", "c", attributes)
    here = [place("s", bucket_of(way, task)) for way in ("task", "conversation", "user")]
    for seed in ("1", "2"):
        there = subprocess.run(
            [sys.executable, "-c", code, json.dumps(attributes)],
            capture_output=True,
            check=True,
            text=True,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
        )
        assert json.loads(there.stdout) == here
