import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolewise.fleet.spec.values import (
    format_duration,
    format_memory,
    format_share,
    parse_criticality,
    parse_duration,
    parse_memory,
    parse_share,
)

SECONDS = st.integers(0, 10**9).map(lambda micro: micro / 1_000_000) | st.integers(0, 10**8)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("10s", 10),
        ("500ms", 0.5),
        ("5m", 300),
        ("1h30m", 5400),
        ("1.5h", 5400),
        ("2d", 172_800),
        ("1h2m3s4ms", 3723.004),
        ("0s", 0),
    ],
)
def test_a_duration_is_a_sum_of_numbers_with_units(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "value",
    [10, 10.0, "10", "", "10 s", "-5s", "s", "1e3s", "30m1h", "5s5s", "5m ", "٣s", None],
)
def test_what_has_no_unit_or_two_readings_is_no_duration(value: object) -> None:
    with pytest.raises(ValueError, match="want"):
        parse_duration(value)


@given(SECONDS)
def test_a_duration_is_written_as_it_is_read(seconds: float) -> None:
    assert parse_duration(format_duration(float(seconds))) == seconds


@pytest.mark.parametrize(("value", "share"), [("5%", 0.05), (0.05, 0.05), (1, 1.0), ("150%", 1.5)])
def test_a_share_is_a_percentage_or_a_number_up_to_one(value: object, share: float) -> None:
    assert parse_share(value) == share


@pytest.mark.parametrize("value", [5, 1.01, -0.1, "5", "5 %", "%", "-5%", True, None, "٣%"])
def test_a_number_that_could_mean_percent_is_no_share(value: object) -> None:
    with pytest.raises(ValueError, match="want a share"):
        parse_share(value)


@given(st.floats(0, 100))
def test_a_share_is_written_as_it_is_read(share: float) -> None:
    assert parse_share(format_share(share)) == share


@pytest.mark.parametrize(
    ("text", "size"), [("256MiB", 2**28), ("1.5GiB", 3 * 2**29), ("2GB", 2 * 10**9), ("7B", 7)]
)
def test_a_size_has_a_unit(text: str, size: int) -> None:
    assert parse_memory(text) == size


@pytest.mark.parametrize("value", [256, "256", "256mib", "0.5B", "-1MiB", "MiB", None])
def test_what_has_no_unit_is_no_size(value: object) -> None:
    with pytest.raises(ValueError, match="want"):
        parse_memory(value)


@given(st.integers(0, 2**50))
def test_a_size_is_written_as_it_is_read(size: int) -> None:
    assert parse_memory(format_memory(size)) == size


@pytest.mark.parametrize(("value", "rank"), [(0, 0), (100, 100), ("low", 25), ("highest", 100)])
def test_criticality_is_a_number_or_a_word(value: object, rank: int) -> None:
    assert parse_criticality(value) == rank


@pytest.mark.parametrize("value", [-1, 101, 50.0, "huge", True, None])
def test_other_criticality_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="0 to 100"):
        parse_criticality(value)
