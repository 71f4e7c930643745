"""Trees of tasks from records: as the tasks were, also when they come in pieces or in part."""

from __future__ import annotations

import numpy as np

from rolewise.graphs.interactions import DTYPE, Batch, Happening
from rolewise.graphs.role_figures import Failures
from rolewise.graphs.task_samples import TaskSample
from rolewise.graphs.task_trees import Call, Invocation, criticality_of_tasks

NODES = {1: "planner@v1", 2: "negotiator@v1", 3: "supplier@v2", 4: "supplier@v1", 5: "robot@v1"}
NUMBER = {"planner": 1, "negotiator": 2, "supplier": 3, "robot": 5}
AND, ANY, EVENT = 1, 2, 4
SENT, REPLIED, FAILED = Happening.SENT, Happening.REPLIED, Happening.FAILED
TIMED_OUT, CANCELLED = Happening.TIMED_OUT, Happening.CANCELLED


def record(task, msg, inv, ev, role="", flags=AND, attempt=0):
    return task, msg, inv, ev, NUMBER.get(role, 0), flags | attempt << 5


def batch_of(*rows, source="r.0"):
    records = np.zeros(len(rows), DTYPE)
    for place, (task, msg, inv, ev, dst, flags) in enumerate(rows):
        row = records[place]
        row["task"], row["msg"], row["inv"], row["ev"] = task, msg, inv, ev
        row["dst"], row["flags"] = dst, flags
    return Batch(source=source, first_seq=0, records=records, nodes=NODES, kinds={})


def read(*rows, records_kept=10_000):
    sample = TaskSample(records_kept=records_kept)
    sample.take(batch_of(*rows))
    return sample.read()


def inv(role, *calls):
    return Invocation(role, calls)


def ask(*to, need=1):
    return Call(to, need)


def plain(task=1, shift=0):
    """Planner asks the negotiator, who asks two suppliers for one answer; the robot is told."""
    m = [shift + n for n in range(10)]
    return [
        record(task, m[1], 0, SENT, "planner"),
        record(task, m[2], m[1], SENT, "negotiator"),
        record(task, m[3], m[2], SENT, "supplier", ANY),
        record(task, m[4], m[2], SENT, "supplier", ANY),
        record(task, m[3], m[2], REPLIED, "supplier", ANY),
        record(task, m[4], m[2], CANCELLED, "supplier", ANY),
        record(task, m[2], m[1], REPLIED, "negotiator"),
        record(task, m[5], m[1], SENT, "robot", EVENT),
        record(task, m[1], 0, REPLIED, "planner"),
    ]


PLAIN = inv(
    "planner",
    ask(inv("negotiator", ask(inv("supplier"), inv("supplier")))),
    ask(inv("robot"), need=0),
)


def test_a_task_as_it_was():
    assert read(*plain()) == ({PLAIN: 1}, {})


def test_equal_tasks_are_counted():
    rows = [row for task in range(1, 6) for row in plain(task, 100 * task)]
    assert read(*rows)[0] == {PLAIN: 5}


def test_pieces_of_several_replicas_make_the_same_trees():
    rows = [*plain(1), *plain(2, 100)]
    sample = TaskSample()
    # Each invocation's messages are written down at one place, in order.
    for caller in (2, 102, 1, 101, 0):
        part = [row for row in rows if row[2] == caller]
        sample.take(batch_of(*part, source=f"r.{caller}"))
    assert sample.read() == ({PLAIN: 2}, {})


def test_a_task_that_still_runs_does_not_count():
    assert read(*plain()[:-1]) == ({}, {})


def test_mirrored_traffic_does_not_count():
    rows = [(*row[:5], row[5] | 8) for row in plain()]
    assert read(*rows) == ({}, {})


def test_two_askings_of_one_of_several_are_two():
    rows = [
        record(1, 1, 0, SENT, "planner"),
        record(1, 2, 1, SENT, "robot", ANY),
        record(1, 3, 1, SENT, "supplier", ANY),
        record(1, 2, 1, REPLIED, "robot", ANY),
        record(1, 3, 1, CANCELLED, "supplier", ANY),
        record(1, 4, 1, SENT, "robot", ANY),
        record(1, 4, 1, REPLIED, "robot", ANY),
        record(1, 1, 0, REPLIED, "planner"),
    ]
    both = ask(inv("robot"), inv("supplier"))
    assert read(*rows)[0] == {inv("planner", both, ask(inv("robot"))): 1}


class TestFailures:
    def chain(self, *, supplier=FAILED, negotiator=FAILED, planner=FAILED):
        return [
            record(1, 1, 0, SENT, "planner"),
            record(1, 2, 1, SENT, "negotiator"),
            record(1, 3, 2, SENT, "supplier"),
            record(1, 3, 2, supplier, "supplier"),
            record(1, 2, 1, negotiator, "negotiator"),
            record(1, 1, 0, planner, "planner"),
        ]

    def test_the_role_where_it_began_is_named_and_took_the_task_with_it(self):
        assert read(*self.chain())[1] == {"supplier": Failures(tasks=1, lost=1)}

    def test_one_that_was_got_over_did_not(self):
        got_over = self.chain(negotiator=REPLIED, planner=REPLIED)
        assert read(*got_over)[1] == {"supplier": Failures(tasks=1, lost=0)}

    def test_a_timeout_is_a_failure(self):
        assert set(read(*self.chain(supplier=TIMED_OUT))[1]) == {"supplier"}

    def test_a_retry_that_helped_is_none_and_an_alternative_in_the_tree(self):
        rows = [
            record(1, 1, 0, SENT, "planner"),
            record(1, 2, 1, SENT, "supplier"),
            record(1, 2, 1, FAILED, "supplier"),
            record(1, 3, 1, SENT, "supplier", attempt=1),
            record(1, 3, 1, REPLIED, "supplier", attempt=1),
            record(1, 1, 0, REPLIED, "planner"),
        ]
        trees, failures = read(*rows)
        assert trees == {inv("planner", ask(inv("supplier"), inv("supplier"))): 1}
        assert failures == {}


class TestBounds:
    def test_the_oldest_records_go_and_tasks_in_part_with_them(self):
        sample = TaskSample(records_kept=20)
        for task in range(1, 11):
            rows = plain(task, 100 * task)
            for half in (rows[:5], rows[5:]):
                sample.take(batch_of(*half))
        trees, _ = sample.read()
        assert trees == {PLAIN: 2}

    def test_a_task_that_runs_in_circles_is_left_out(self):
        rows = [record(1, 1, 0, SENT, "planner")]
        rows += [record(1, n + 1, n, SENT, "robot") for n in range(1, 500)]
        rows.append(record(1, 1, 0, REPLIED, "planner"))
        assert read(*rows)[0] == {}


def test_the_figures_follow():
    trees, failures = read(*plain(), *TestFailures().chain()[3:0:-1])
    figures = criticality_of_tasks(trees, failures)
    assert figures["robot"].blast == 0
    assert figures["negotiator"].blast == 1
    assert figures["supplier"].use == 1
