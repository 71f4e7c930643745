"""Columns say what the snapshots said: there and back, in parts, in any order."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from rolewise.graphs.rounds import join_rounds
from rolewise.graphs.snapshot_columns import read_round, read_snapshots
from rolewise.graphs.snapshots import Ending, Lock, QueuedMessage, ReplicaSnapshot
from rolewise.graphs.snapshots import RunningInvocation as Running

IDS = st.integers(0, 2**64 - 1)
SECONDS = st.floats(0, 1e6)
TASKS = st.sampled_from(["t-1", "t-2", ""])
ARMS = st.integers(0, 2)


@st.composite
def running(draw):
    waits = tuple(draw(st.lists(IDS, max_size=4, unique=True)))
    locks = tuple(draw(st.lists(IDS, max_size=2, unique=True)))
    common = {
        "id": draw(IDS),
        "epoch": draw(st.integers(0, 2**40)),
        "task": draw(TASKS),
        "since": draw(SECONDS),
        "arm": draw(ARMS),
        "kind": draw(st.sampled_from(["", "quote"])),
        "deadline": draw(st.none() | SECONDS | st.just(float("inf"))),
    }
    if not waits and not locks:
        return Running(state="active", **common)
    return Running(
        state="wait",
        waits=waits,
        locks=locks,
        need=draw(st.integers(0, len(waits) + len(locks))),
        sent_to=tuple(f"r@v1#{i}" for i, _ in enumerate(waits)) if draw(st.booleans()) else (),
        **common,
    )


QUEUED = st.builds(
    QueuedMessage,
    id=IDS,
    epoch=st.integers(0, 9),
    task=TASKS,
    caller=IDS,
    pool=st.sampled_from([(), ("a@v1#1", "a@v1#2")]),
    since=SECONDS,
    arm=ARMS,
    kind=st.just("quote"),
)
LOCKS = st.builds(
    Lock,
    id=IDS,
    epoch=st.integers(0, 9),
    holders=st.lists(IDS, max_size=3, unique=True).map(tuple),
    mode=st.sampled_from(["exclusive", "shared", "semaphore"]),
    permits=st.integers(0, 3),
    name=st.sampled_from(["", "stock"]),
)
SNAPSHOTS = st.builds(
    ReplicaSnapshot,
    replica=st.just(""),
    role=st.just("r"),
    version=st.sampled_from(["v1", "v2"]),
    slots=st.integers(0, 4),
    capacity_epoch=st.integers(0, 3),
    incarnation=st.sampled_from(["", "r.0"]),
    table=st.integers(0, 5),
    up_s=st.just(3.5),
    loop_lag_s=SECONDS,
    running=st.lists(running(), max_size=3).map(tuple),
    queue=st.lists(QUEUED, max_size=2).map(tuple),
    locks=st.lists(LOCKS, max_size=2).map(tuple),
    recent=st.lists(st.tuples(IDS, st.sampled_from(Ending)), max_size=2).map(tuple),
)
FLEETS = st.lists(SNAPSHOTS, max_size=4).map(
    lambda found: [replace(one, replica=f"r@v1#{i}") for i, one in enumerate(found)]
)


@given(FLEETS)
def test_there_and_back(fleet):
    assert list(read_snapshots(read_round(fleet))) == fleet


@given(FLEETS, st.data())
def test_parts_joined_are_the_whole_and_parts_of_it_come_out_again(fleet, data):
    joined = join_rounds([read_round([one]) for one in fleet], blind=["x@v1#9"])
    assert list(read_snapshots(joined)) == fleet
    assert joined.blind == ("x@v1#9",)
    names = data.draw(st.sets(st.sampled_from([one.replica for one in fleet] or ["none"])))
    part = read_snapshots(joined.only(names))
    assert list(part) == [one for one in fleet if one.replica in names]
    assert joined.only(names).blind == ()


@given(FLEETS, st.randoms(use_true_random=False))
def test_the_order_of_answers_is_put_right(fleet, random):
    mixed = list(fleet)
    random.shuffle(mixed)
    assert list(read_snapshots(read_round(mixed).ordered())) == fleet


def test_nobody_answered():
    empty = join_rounds([], blind=["a@v1#1"])
    assert (read_snapshots(empty), empty.blind) == ((), ("a@v1#1",))


def test_what_is_awaited_twice_counts_once():
    twice = Running(id=1, epoch=0, task="t", state="wait", waits=(2, 2, 3), need=3)
    head = ReplicaSnapshot(replica="a", role="a", version="v", slots=1, capacity_epoch=0)
    (read,) = read_snapshots(read_round([replace(head, running=(twice,))]))
    assert (read.running[0].waits, read.running[0].need) == ((2, 3), 2)
