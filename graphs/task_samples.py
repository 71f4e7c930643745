"""Builds the trees of recent tasks from records, for `rolewise.graphs.task_trees`.

It keeps the records of the last tasks as they come, by array; only who asks for the trees pays
for building them. A task counts once its first message has ended, if all of it is still there.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from rolewise.graphs.interactions import Batch, Happening
from rolewise.graphs.role_figures import Failures
from rolewise.graphs.task_trees import Call, Invocation, TaskTrees

RECORDS_KEPT = 75_000
"""Some thousand tasks; reading them takes a few dozen milliseconds."""

TREE_MAX = 200
"""A task with more invocations is left out: it runs in circles, and its tree says little."""

_AWAITED_ANY, _EVENT, _MIRRORED, _ATTEMPT = 2, 4, 8, 5
_FAILED = frozenset({Happening.FAILED, Happening.TIMED_OUT})


@dataclass(slots=True)
class _Sent:
    """One message: who got it, and how it ended, once it has."""

    msg: int
    role: str
    is_event: bool
    is_any: bool
    attempt: int
    end: int = Happening.SENT


@dataclass(slots=True)
class _Task:
    """What is known of one task: its first message, and what each invocation sent, in order."""

    root: _Sent | None = None
    sent: dict[int, list[list[_Sent]]] = field(default_factory=lambda: defaultdict(list))
    by_msg: dict[int, _Sent] = field(default_factory=dict)
    groups_open: dict[int, bool] = field(default_factory=dict)


class TaskSample:
    """The records of the last tasks of one shard.

    Args:
        records_kept: About so many; the oldest are dropped.
    """

    def __init__(self, *, records_kept: int = RECORDS_KEPT) -> None:
        self._kept = records_kept
        self._count = 0
        self._batches: deque[Batch] = deque()

    def take(self, batch: Batch) -> None:
        """Keep what a batch says of messages; the caller has skipped batches that come twice."""
        if not len(batch.records):
            return
        self._batches.append(batch)
        self._count += len(batch.records)
        while self._count - len(self._batches[0].records) >= self._kept:
            self._count -= len(self._batches.popleft().records)

    def read(self) -> TaskTrees:
        """Return the trees of the tasks that have ended, with their number, and what failed.

        A role has failed in a task when a message to it finally failed or timed out, retries
        included, and nothing that it asked for itself had failed: the failure began there.
        """
        tasks: dict[int, _Task] = defaultdict(_Task)
        for batch in self._batches:
            records = batch.records
            records = records[_KEPT[records["ev"]] & (records["flags"] & _MIRRORED == 0)]
            names = ("task", "msg", "inv", "ev", "flags", "dst")
            columns = (records[name].tolist() for name in names)
            roles = {number: node.partition("@")[0] for number, node in batch.nodes.items()}
            for key, msg, inv, happening, flags, number in zip(*columns, strict=True):
                _note(tasks[key], msg, inv, happening, flags, roles.get(number, ""))
        trees: Counter[Invocation] = Counter()
        failed: Counter[str] = Counter()
        lost: Counter[str] = Counter()
        for task in tasks.values():
            root = task.root
            if root is None or root.end == Happening.SENT or len(task.by_msg) > TREE_MAX:
                continue
            trees[_tree(task, root, 0)] += 1
            culprits = {one.role for one in task.by_msg.values() if _began_there(task, one)}
            failed.update(culprits)
            if root.end != Happening.REPLIED:
                lost.update(culprits)
        return dict(trees), {
            role: Failures(tasks=count, lost=lost[role]) for role, count in failed.items()
        }


def merge_trees(parts: Iterable[TaskTrees]) -> TaskTrees:
    """Add up what several shards have read."""
    trees: Counter[Invocation] = Counter()
    failed: Counter[str] = Counter()
    lost: Counter[str] = Counter()
    for some, failures in parts:
        trees.update(some)
        for role, seen in failures.items():
            failed[role] += seen.tasks
            lost[role] += seen.lost
    return dict(trees), {role: Failures(tasks=n, lost=lost[role]) for role, n in failed.items()}


_KEPT = np.ones(256, np.bool_)
_KEPT[[Happening.STARTED, Happening.DROPPED]] = False


def _note(task: _Task, msg: int, inv: int, happening: int, flags: int, role: str) -> None:
    if happening != Happening.SENT:
        known = task.by_msg.get(msg)
        if known is not None:
            known.end = happening
            # What an invocation sends after a reply belongs to another asking.
            task.groups_open[inv] = False
        return
    sent = _Sent(
        msg=msg,
        role=role,
        is_event=bool(flags & _EVENT),
        is_any=bool(flags & _AWAITED_ANY),
        attempt=flags >> _ATTEMPT,
    )
    task.by_msg[msg] = sent
    if inv == 0:
        if task.root is None or sent.attempt:
            task.root = sent
        return
    groups = task.sent[inv]
    last = groups[-1][-1] if groups else None
    again = last is not None and sent.attempt > 0 and last.role == role
    together = sent.is_any and last is not None and last.is_any and task.groups_open.get(inv, False)
    if again or together:
        groups[-1].append(sent)
    else:
        groups.append([sent])
    task.groups_open[inv] = True


def _tree(task: _Task, sent: _Sent, depth: int) -> Invocation:
    """Return the tree below a message. A chain is never longer than the whole tree may be."""
    calls = []
    for group in task.sent.get(sent.msg, ()) if depth < TREE_MAX else ():
        to = tuple(_tree(task, one, depth + 1) for one in group)
        # One of several will do: the first of those that were asked together, or any attempt.
        calls.append(Call(to, 0 if group[0].is_event else 1))
    return Invocation(sent.role, tuple(calls))


def _began_there(task: _Task, sent: _Sent) -> bool:
    if sent.end not in _FAILED:
        return False
    groups = task.sent.get(sent.msg, ())
    own = any(all(one.end in _FAILED for one in group) for group in groups)
    # An attempt that was made again was not final.
    again = any(
        one.attempt == sent.attempt + 1 and one.role == sent.role for one in task.by_msg.values()
    )
    return not own and not again
