"""Livelock: a task that sends and sends and gets nowhere. Figures of one task, and flags.

Every task has figures (how often it repeated itself, how long it made no progress, ...), and a
figure at or above its limit raises a flag. Flags are a *signal*: the share of flagged tasks is
compared between the arms, and one flagged task never rolls back a fleet. A *guard* is something
else: a hard limit at which that one task is ended, whatever its arm (`find_breach`).

Progress is a mark that an agent sets (`ctx.progress`), a memory key written for the first time,
or a reply that the task has not seen before. Sending alone never is. Only what happened since the
last progress counts for repetition: a user who checks the same status after each repair step
makes the same call many times and is no livelock; a call whose result stays the same is.

`TaskLoops` takes the events one by one; `rolewise.graphs.loop_batch` takes many tasks at once
and gives the same figures.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from enum import IntEnum
from typing import Final

import numpy as np
import numpy.typing as npt

from rolewise.graphs.digests import NONE, SHAPE_MASK
from rolewise.graphs.guard_limits import GuardLimits

PERIODS: Final = 8
"""Longest loop, in messages, that is recognised."""
SEEN_CAP: Final = 4096
"""Digests of a task that are remembered; later ones count as new whenever they come."""
NOVELTY_KEPT: Final = 0.9
NOVELTY_FROM: Final = 30
"""Messages after which novelty, a moving average, means something."""
GROWTH_SPAN: Final = 20
GROWTH_FROM: Final = 10
"""Growth is looked at in the last 20 messages on one edge, once 10 brought no progress."""
LATE_NS: Final = 10_000_000_000
"""After a task's end so much is forgiven: a closing event is no livelock."""

Table = npt.NDArray[np.float64]


class Figure(IntEnum):
    """What is measured of each task; large is bad. The order is that of the columns."""

    REPEAT = 0  # times that one message, or one cycle of up to 8, came without progress between
    PING_PONG = 1  # changes of direction between two roles that say the same but for words
    STALLED = 2  # messages since the last progress, at most
    SAMENESS = 3  # 1 - novelty: moving share of messages that were not new; 0 below 30 messages
    HOPS = 4  # longest chain of parents
    SIZE = 5  # messages
    GROWTH = 6  # rank correlation of size and order on an edge, while nothing progresses
    RETRIES = 7  # messages on one edge that were sent again after a failure
    LATE = 8  # messages sent 10 s or more after the task's end


FLAGS: Final[tuple[str, ...]] = (
    "repeat",
    "ping_pong",
    "stalled",
    "low_novelty",
    "hops",
    "size",
    "growth",
    "retry_storm",
    "after_the_end",
)
"""Name of the flag that each figure raises."""

DEFAULT_LIMITS: Final[tuple[float, ...]] = (3, 6, 30, 0.8, 33, 1001, 0.8, 4, 1)
"""A flag is raised when its figure reaches this, until a limit is learnt."""


class TaskLoops:
    """The figures of one task, kept as its events come. Some microseconds a message."""

    __slots__ = (
        "_ended_at",
        "_failed",
        "_figures",
        "_novelty",
        "_progressed",
        "_replies",
        "_retries",
        "_ring",
        "_runs",
        "_seen",
        "_sent",
        "_since",
        "_sizes",
        "_swing",
    )

    def __init__(self) -> None:
        self._figures = [0.0] * len(Figure)
        self._ring: deque[tuple[int, int, int]] = deque(maxlen=PERIODS)
        self._runs = [0] * PERIODS
        self._swing = 0
        self._seen: set[int] = set()
        self._replies: set[int] = set()
        self._failed: set[int] = set()
        self._retries: dict[tuple[int, int, int], int] = {}
        self._sizes: dict[tuple[int, int, int], deque[int]] = {}
        self._novelty = 1.0
        self._sent = 0
        self._since = 0
        self._progressed = True  # the task's begin is progress
        self._ended_at: int | None = None

    def sent(
        self,
        digest: int,
        *,
        src: int = 0,
        dst: int = 0,
        kind: int = 0,
        hop: int = 0,
        size: int = 0,
        attempt: int = 0,
        at_ns: int = 0,
    ) -> None:
        """Note a message of the task.

        Args:
            digest: See `rolewise.graphs.digests`; 0 when there is none: then it is new.
            src: Number of the role that sends.
            dst: Number of the role that it is for.
            kind: Number of its kind.
            hop: Length of the chain of parents.
            size: Bytes, 0 when not known.
            attempt: Above 0: the runtime sent it again.
            at_ns: When, on the clock that `ended` uses.
        """
        self._since = 0 if self._progressed else self._since + 1
        self._progressed = False
        self._sent += 1
        self._note_repeats(digest, src, dst)
        self._note_novelty(digest)
        edge = (src, dst, kind)
        again = attempt > 0 or digest in self._failed
        self._failed.discard(digest)
        if again:
            self._retries[edge] = self._retries.get(edge, 0) + 1
            self._raise(Figure.RETRIES, self._retries[edge])
        sizes = self._sizes.setdefault(edge, deque(maxlen=GROWTH_SPAN))
        sizes.append(size)
        if self._since >= GROWTH_FROM and len(sizes) == GROWTH_SPAN:
            self._raise(Figure.GROWTH, float(rank_growth(np.array([sizes], np.float64))[0]))
        self._raise(Figure.STALLED, self._since)
        self._raise(Figure.HOPS, hop)
        self._raise(Figure.SIZE, self._sent)
        if self._ended_at is not None and at_ns - self._ended_at >= LATE_NS:
            self._figures[Figure.LATE] += 1

    def replied(self, digest: int) -> None:
        """Note a reply; one that the task has not seen before is progress."""
        if digest == NONE:
            self._progressed = True  # nobody looked: rather miss a loop than invent one
        elif digest not in self._replies:
            self._progressed = True
            if len(self._replies) < SEEN_CAP:
                self._replies.add(digest)

    def failed(self, digest: int) -> None:
        """Note that the message of this digest failed or timed out."""
        if digest != NONE:
            self._failed.add(digest)

    def progressed(self) -> None:
        """Note progress that an agent has marked."""
        self._progressed = True

    def ended(self, at_ns: int) -> None:
        """Note the task's end; only the first counts."""
        if self._ended_at is None:
            self._ended_at = at_ns

    @property
    def figures(self) -> tuple[float, ...]:
        """The figures so far, in the order of `Figure`."""
        return tuple(self._figures)

    def _note_repeats(self, digest: int, src: int, dst: int) -> None:
        ring, runs, repeat = self._ring, self._runs, 1
        for place, (earlier, _, _) in enumerate(ring):  # the latest first
            runs[place] = runs[place] + 1 if earlier == digest != NONE else 0
            repeat = max(repeat, min(runs[place], self._since) // (place + 1) + 1)
        self._raise(Figure.REPEAT, repeat)
        swings = (
            digest != NONE
            and len(ring) > 1
            and (ring[1][0] ^ digest) & SHAPE_MASK == 0
            and ring[1][0] != NONE
            and src != dst
            and ring[0][1:] == (dst, src)
            and ring[1][1:] == (src, dst)
        )
        self._swing = self._swing + 1 if swings else 0
        run = min(self._swing, self._since)
        self._raise(Figure.PING_PONG, run + 1 if run else 0)
        ring.appendleft((digest, src, dst))

    def _note_novelty(self, digest: int) -> None:
        new = digest not in self._seen
        if new and digest != NONE and len(self._seen) < SEEN_CAP:
            self._seen.add(digest)
        self._novelty = NOVELTY_KEPT * self._novelty + (1.0 - NOVELTY_KEPT) * new
        if self._sent >= NOVELTY_FROM:
            self._raise(Figure.SAMENESS, 1.0 - self._novelty)

    def _raise(self, figure: Figure, value: float) -> None:
        self._figures[figure] = max(self._figures[figure], value)


def rank_growth(sizes: Table) -> Table:
    """Return for each row Spearman's correlation of its values with their order.

    Args:
        sizes: One row a window, values in order.

    Returns:
        -1 to 1; 0 for a row of equal values.
    """
    less = (sizes[:, :, None] > sizes[:, None, :]).sum(axis=2)
    equal = (sizes[:, :, None] == sizes[:, None, :]).sum(axis=2)
    ranks = less + (equal - 1) / 2.0
    ranks = ranks - ranks.mean(axis=1, keepdims=True)
    order = np.arange(sizes.shape[1]) - (sizes.shape[1] - 1) / 2.0
    spread = np.sqrt((ranks**2).sum(axis=1) * (order**2).sum())
    growth: Table = np.divide(ranks @ order, spread, out=np.zeros(len(sizes)), where=spread > 0)
    return growth


def raised_flags(figures: Table, limits: Table | None = None) -> npt.NDArray[np.bool_]:
    """Say which flags are raised.

    Args:
        figures: One row a task, columns in the order of `Figure`.
        limits: Of each figure; `DEFAULT_LIMITS` when None.
    """
    return np.asarray(figures >= np.array(DEFAULT_LIMITS if limits is None else limits))


def flag_names(raised: npt.NDArray[np.bool_]) -> tuple[str, ...]:
    """Return the names of one task's raised flags."""
    return tuple(name for name, is_raised in zip(FLAGS, raised.tolist(), strict=True) if is_raised)


def find_breach(figures: tuple[float, ...], limits: GuardLimits) -> str:
    """Return which hard limit the task has broken, in words; empty when none.

    Args:
        figures: In the order of `Figure`.
        limits: The fleet's.
    """
    asked: Mapping[str, tuple[Figure, int]] = {
        "messages one caused by the other": (Figure.HOPS, limits.hops),
        "messages": (Figure.SIZE, limits.messages),
        "messages without progress": (Figure.STALLED, limits.stalled),
    }
    for words, (figure, limit) in asked.items():
        if limit and figures[figure] > limit:
            return f"{figures[figure]:.0f} {words}, the limit is {limit}"
    return ""
