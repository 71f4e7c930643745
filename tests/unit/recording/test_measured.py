"""Of which tasks messages are looked into."""

from rolewise.fleet.recording.measured import LOOK_S, MESSAGES_PER_S, MeasuredShare
from rolewise.fleet.task import task_key


def share_of(rate: float, *, seconds: float = 4.0) -> float:
    """Return the share that is measured of messages at this rate, each of a task of its own."""
    measured, wanted = MeasuredShare(), 0
    count = int(rate * seconds)
    for number in range(count):
        now_s = 100.0 + number / rate
        wanted += measured.wants(task_key(f"t{number}"), now_s) and now_s > 100.0 + LOOK_S
    return wanted / (count * (1.0 - LOOK_S / seconds))


def test_a_process_that_sends_few_messages_measures_all() -> None:
    assert share_of(MESSAGES_PER_S / 2) >= 0.99


def test_a_busy_process_measures_as_many_as_are_allowed() -> None:
    rate = 40 * MESSAGES_PER_S
    assert 0.5 < share_of(rate) * rate / MESSAGES_PER_S < 1.5


def test_the_messages_of_a_task_are_measured_together_by_all() -> None:
    busy = [MeasuredShare(), MeasuredShare()]
    rate = 8 * MESSAGES_PER_S
    for number in range(int(rate)):
        for one in busy:
            one.wants(task_key(f"t{number}"), number / rate)
    chosen = [{n for n in range(200) if one.wants(task_key(f"u{n}"), 1.0)} for one in busy]
    assert chosen[0] == chosen[1]
    assert 0 < len(chosen[0]) < 200
