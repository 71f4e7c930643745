"""In a world that changes while it is asked, what two rounds confirm was truly stuck."""

import random
from collections.abc import Callable

from rolewise.graphs.deadlock import analyse_waits
from rolewise.graphs.snapshot_columns import read_round
from rolewise.graphs.snapshots import QueuedMessage, ReplicaSnapshot, RunningInvocation


class World:
    """Replicas with one slot: asks of one or more others, replies, timeouts, queues."""

    def __init__(self, seed: int, replicas: int = 5, *, impatient: float = 0.15) -> None:
        self.random = random.Random(seed)
        self.impatient = impatient
        self.ids = 0
        self.running: list[RunningInvocation] = []
        self.queues: list[list[QueuedMessage]] = [[] for _ in range(replicas)]
        for _ in range(replicas):
            self.running.append(self.invocation())

    def invocation(self, id_: int | None = None) -> RunningInvocation:
        if id_ is None:
            self.ids += 1
            id_ = self.ids
        return RunningInvocation(id=id_, epoch=0, task="t", state="active")

    def step(self) -> None:
        """Let one replica do one thing."""
        place = self.random.randrange(len(self.running))
        one = self.running[place]
        if one.state == "wait":
            if self.random.random() < self.impatient:  # a timeout: what it asked for is withdrawn
                for queue in self.queues:
                    queue[:] = [message for message in queue if message.id not in one.waits]
                self.change(place, waits=(), need=0)
        elif self.random.random() < 0.5:
            self.ask(place, one)
        else:
            self.reply(place, one)

    def ask(self, place: int, one: RunningInvocation) -> None:
        others = [p for p in range(len(self.running)) if p != place]
        targets = self.random.sample(others, self.random.choice((1, 1, 2)))
        waits = []
        for target in targets:
            self.ids += 1
            waits.append(self.ids)
            self.queues[target].append(QueuedMessage(id=self.ids, epoch=0, task="t", caller=one.id))
        self.change(place, waits=tuple(waits), need=self.random.randint(1, len(waits)))

    def reply(self, place: int, one: RunningInvocation) -> None:
        for asker, other in enumerate(self.running):
            if one.id in other.waits:
                left = tuple(wait for wait in other.waits if wait != one.id)
                need = other.need - 1
                self.change(asker, waits=left if need else (), need=need)
        queue = self.queues[place]
        self.running[place] = self.invocation(queue.pop(0).id if queue else None)

    def change(self, place: int, *, waits: tuple[int, ...], need: int) -> None:
        one = self.running[place]
        self.running[place] = RunningInvocation(
            id=one.id,
            epoch=one.epoch + 1,
            task="t",
            state="wait" if waits else "active",
            waits=waits,
            need=need,
        )

    def snapshot(self, place: int) -> ReplicaSnapshot:
        return ReplicaSnapshot(
            replica=f"r@v1#{place}",
            role="r",
            version="v1",
            slots=1,
            capacity_epoch=0,
            running=(self.running[place],),
            queue=tuple(self.queues[place]),
        )

    def round(
        self, steps: int = 12, seen: Callable[[list[ReplicaSnapshot]], None] | None = None
    ) -> list[ReplicaSnapshot]:
        """Ask every replica, each at its own moment while the world goes on; `seen` sees all."""
        asked_at = [self.random.randrange(steps) for _ in self.running]
        answers = []
        for now in range(steps):
            answers += [self.snapshot(place) for place, at in enumerate(asked_at) if at == now]
            self.step()
            if seen is not None:
                seen(self.all_at_once())
        return answers

    def all_at_once(self) -> list[ReplicaSnapshot]:
        return [self.snapshot(place) for place in range(len(self.running))]


def stuck(first, second) -> set[int]:
    rounds = [None if one is None else read_round(one) for one in (first, second)]
    return set(analyse_waits(*rounds).soft.ids)


def test_what_is_confirmed_was_stuck_between_the_rounds():
    phantoms = confirmed = 0
    for seed in range(1500):
        world = World(seed)
        for _ in range(world.random.randrange(40)):
            world.step()
        first = world.round()
        truth = stuck(None, world.all_at_once())
        second = world.round()
        found = stuck(first, second)
        assert found <= truth, f"seed {seed}"
        confirmed += bool(found)
        phantoms += not stuck(None, first) <= truth
    # The worlds are such that one round alone errs, and that there is something to confirm.
    assert phantoms > 50
    assert confirmed > 30


def waits_of(snapshots, ids):
    """Return what these wait for, with its epochs: equal as long as nothing has changed."""
    entries = [one for snapshot in snapshots for one in (*snapshot.running, *snapshot.queue)]
    return {(one.id, one.epoch) for one in entries if one.id in ids}


def test_what_is_stuck_all_the_time_is_found_by_two_rounds():
    standing = 0
    for seed in range(500):
        world = World(seed, impatient=random.Random(seed).choice((0.0, 0.02, 0.15)))
        for _ in range(world.random.randrange(60)):
            world.step()
        states = [world.all_at_once()]
        first = world.round(seen=states.append)
        second = world.round(seen=states.append)
        truth = stuck(None, states[0])
        stood = waits_of(states[0], truth)
        if truth and all(waits_of(state, truth) == stood for state in states):
            assert truth <= stuck(first, second), f"seed {seed}"
            standing += 1
    assert standing > 40


def test_a_confirmed_deadlock_was_one_at_every_instant_between_the_rounds():
    """What two rounds confirm stood from the last answer of the first to the second's first."""
    confirmed = 0
    for seed in range(400):
        world = World(seed, impatient=0.05)
        for _ in range(world.random.randrange(60)):
            world.step()
        first = world.round()
        between = [world.all_at_once()]
        for _ in range(6):
            world.step()
            between.append(world.all_at_once())
        found = stuck(first, world.round())
        for state in between:
            assert found <= stuck(None, state), f"seed {seed}"
        confirmed += bool(found)
    assert confirmed > 30
