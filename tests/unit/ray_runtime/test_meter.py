"""CPU is shared out over messages and never lost; memory is read now and then."""

import mmap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolewise.fleet.ray.meter import Meter, read_memory


@given(st.lists(st.tuples(st.integers(0, 5), st.floats(0, 10)), max_size=20))
def test_all_cpu_goes_to_messages_as_soon_as_there_are_some(
    posts: list[tuple[int, float]],
) -> None:
    begun, cpu = 7, 3.0
    meter = Meter(lambda: begun, cpu=lambda: cpu)
    given_out = waiting = 0.0
    for messages, seconds in posts:
        begun += messages
        cpu += seconds
        waiting += seconds
        share = meter.cpu_s_per_message()
        if messages:
            assert share * messages == pytest.approx(waiting, abs=1e-9)
            given_out, waiting = given_out + waiting, 0.0
        else:
            assert share == 0.0
    assert given_out + waiting == pytest.approx(cpu - 3.0, abs=1e-6)


def test_memory_is_this_process_s_and_read_once_a_second() -> None:
    now = 0.0
    meter = Meter(lambda: 0, now=lambda: now)
    first = meter.memory_bytes()
    assert first is not None
    assert 5e6 < first < 50e9
    ballast = mmap.mmap(-1, 64 * 2**20)  # new pages, whatever this process has set free before
    for page in range(0, len(ballast), mmap.PAGESIZE):
        ballast[page] = 1
    assert meter.memory_bytes() == first
    now = 1.0
    later = meter.memory_bytes()
    assert later is not None
    assert later - first > 32 * 2**20
    assert (read_memory() or 0) > 0
    ballast.close()
