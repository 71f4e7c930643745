"""Pictures of a backtest: whole as XML, in words too, and readable in light and dark."""

import re
from xml.etree import ElementTree as ET

import pytest

from rolewise.coordinator.backtest.plots import draw_replay
from rolewise.coordinator.backtest.replay import replay
from rolewise.coordinator.backtest.svg import STYLE, Scale, power
from rolewise.coordinator.judge.analysis import Analysis, Signal
from tests.unit.backtest.rows import some_rows

SVG = "{http://www.w3.org/2000/svg}"
ANALYSIS = Analysis(
    alpha=0.05,
    signals=(
        Signal(name="a<b&c", metric="task.completed", tolerate=0.05),
        Signal(name="p50", metric="task.latency", quantile=0.5, tolerate=0.3),
        Signal(name="slo", metric="tool.error", compare="absolute", limit=0.5),
        Signal(name="cost", metric="task.cost", tolerate=0.3),
    ),
)


def read(text):
    return ET.fromstring(text)  # noqa: S314 - our own


@pytest.fixture(scope="module")
def picture():
    rows = some_rows(400, weight=50.0, fails=(0.05, 0.4))
    return read(draw_replay(replay(rows, ANALYSIS, points=40)))


def words(picture):
    return [one.text for one in picture.iter(f"{SVG}text")]


def test_it_says_what_it_shows_without_being_seen(picture):
    assert picture.get("role") == "img"
    assert picture.find(f"{SVG}title").text
    assert "a<b&c: " in picture.find(f"{SVG}desc").text


def test_every_signal_that_was_compared_has_its_curves_and_limits(picture):
    said = words(picture)
    for name in ("a<b&c", "p50", "slo"):
        assert f"{name}: evidence" in said
    assert not any("cost" in one for one in said)
    assert said.count("solid: harm") == said.count("dashed: safe") == 3
    assert "limit -5 points" in said
    assert "limit +30 %" in said


def test_the_decision_is_marked_in_every_panel(picture):
    rows = some_rows(400, weight=50.0, fails=(0.05, 0.4))
    decided = replay(rows, ANALYSIS).decided
    assert words(picture).count(f"harm at {decided.tasks}") == 6


def test_nothing_is_drawn_outside(picture):
    width, height = float(picture.get("width")), float(picture.get("height"))
    for path in picture.iter(f"{SVG}path"):
        numbers = [float(one) for one in re.findall(r"-?\d+\.\d+", path.get("d"))]
        assert all(0.0 <= x <= width for x in numbers[::2])
        assert all(0.0 <= y <= height for y in numbers[1::2])


def test_colours_are_named_once_for_light_and_once_for_dark():
    light, dark = STYLE.split("@media (prefers-color-scheme: dark)")
    names = set(re.findall(r"var\((--\w+)\)", STYLE))
    assert names == set(re.findall(r"(--\w+): #", light))
    assert names == set(re.findall(r"(--\w+): #", dark))


def test_a_recording_of_nothing_is_an_empty_picture():
    empty = read(draw_replay(replay([], ANALYSIS, points=40)))
    assert not words(empty)


def test_ticks_are_round_and_inside():
    assert Scale(low=0, high=1970, start=0, stop=100).ticks(4) == [0, 500, 1000, 1500]
    assert Scale(low=0.02, high=2e4, start=0, stop=1, is_log=True).ticks(6) == [
        0.1, 1.0, 10.0, 100.0, 1000.0, 10000.0,
    ]  # fmt: skip
    falling = Scale(low=1.0, high=0.5, start=0, stop=100)
    assert (falling.at(1.0), falling.at(0.5), falling.at(2.0)) == (0, 100, 0)


def test_large_powers_are_written_as_powers():
    assert [power(value) for value in (0.01, 1.0, 1e4, 1e6, 1e-5)] == [
        "0.01", "1", "10000", "10⁶", "10⁻⁵",
    ]  # fmt: skip
