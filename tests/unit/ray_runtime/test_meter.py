"""CPU is shared out over messages and never lost; memory is read now and then."""

import mmap
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolewise.fleet.ray.meter import Meter, read_memory


@given(
    st.lists(st.tuples(st.integers(0, 5), st.lists(st.integers(0, 9)), st.floats(0, 10))),
    st.lists(st.integers(0, 9)),
)
def test_all_cpu_goes_to_messages_as_soon_as_there_are_some(
    posts: list[tuple[int, list[int], float]], running: list[int]
) -> None:
    begun, cpu = 7, 3.0
    meter = Meter(lambda: begun, lambda: running, cpu=lambda: cpu)
    told, waiting = cpu, 0.0
    for messages, running_after, seconds in posts:
        begun += messages
        cpu += seconds
        waiting += seconds
        assert meter.is_news == (bool(running) and cpu - told >= 0.01)
        carried, running = running, running_after
        work = meter.work()
        assert list(work.carried) == carried
        served = messages + len(carried)
        if served:
            assert work.cpu_s_per_message * served == pytest.approx(waiting, abs=1e-9)
            told, waiting = cpu, 0.0
        else:
            assert work.cpu_s_per_message == 0.0


def test_memory_is_this_process_s_and_read_once_a_second() -> None:
    now = 0.0
    meter = Meter(lambda: 0, list, now=lambda: now)
    first = meter.work().memory_bytes
    assert first is not None
    assert 5e6 < first < 50e9
    ballast = filled(mmap.MAP_PRIVATE)
    assert meter.work().memory_bytes == first
    now = 1.0
    later = meter.work().memory_bytes
    assert later is not None
    assert later - first > 32 * 2**20
    ballast.close()


def test_pages_that_processes_share_are_not_counted_in_each_of_them() -> None:
    before = read_memory()
    ballast = filled(mmap.MAP_SHARED)  # as a value in Ray's object store
    after = read_memory()
    assert before is not None
    assert after is not None
    assert after - before < 32 * 2**20
    ballast.close()


def test_another_process_can_be_asked_for_and_one_that_is_gone_has_none() -> None:
    child = subprocess.Popen(["sleep", "60"])
    assert (read_memory(child.pid) or 0) > 0
    child.kill()
    child.wait()
    assert read_memory(child.pid) is None


def filled(flags: int) -> mmap.mmap:
    """Return 64 MiB of new pages, whatever this process has set free before."""
    ballast = mmap.mmap(-1, 64 * 2**20, flags=flags)
    for page in range(0, len(ballast), mmap.PAGESIZE):
        ballast[page] = 1
    return ballast
