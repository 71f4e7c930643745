"""Which tests one worker of pytest-xdist gets together; each other test goes to whoever is free.

Tests on Ray mostly wait and the others mostly compute, so they run side by side: the former on
two workers, each with a Ray of its own, the latter on the others. Those that look at the same
rollout, or at the same installed wheel, go together, so that it is made once.

Told by the id of a test, and not by the mark `xdist_group`: the ids of pytest 9.2 do not take the
suffix by which pytest-xdist 3.8 tells the groups, and its groups are torn apart without a word.
"""

from __future__ import annotations

from xdist.scheduler import LoadScopeScheduling

FIRST_RAY, SECOND_RAY = "first Ray", "second Ray"
TOGETHER = ("tests/scenario/test_releases.py", "tests/architecture/test_wheel.py")
ON_RAY = ("tests/ray/", "tests/faults/test_real_fleet.py", "tests/faults/test_out_of_memory.py")
ON_THE_SECOND = ("tests/contract/", "tests/faults/")
"""About half of the time that the tests on Ray take which run side by side."""


def share_of(test: str) -> str:
    """Return the name of the share that a test belongs to; that of its own is its id."""
    if is_on_ray(test):
        return SECOND_RAY if test.startswith(ON_THE_SECOND) else FIRST_RAY
    file = test.partition("::")[0]
    return file if file in TOGETHER else test


def is_on_ray(test: str) -> bool:
    """Return whether a test wants a Ray, by its id; contract tests say it in brackets."""
    return test.startswith(ON_RAY) or test.endswith("-ray]")


class Shares(LoadScopeScheduling):
    """Gives out the largest shares first."""

    def _split_scope(self, nodeid: str) -> str:
        return share_of(nodeid)
