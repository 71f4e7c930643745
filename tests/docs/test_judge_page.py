"""docs/judge.md shows what its scripts find: the recorded pairs, and the pictures."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree as ET

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "judge.md"
NUMBER = re.compile(r"-?\d+\.\d+")


def script(name: str) -> ModuleType:
    """Load a script of benchmarks/, which is no package."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "benchmarks" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


traces, plots = script("judge_traces"), script("judge_plots")


@pytest.mark.parametrize(
    ("start", "harm"), [("airline, one version twice", 0), ("retail: tool-calling → assertions", 6),
                        ("airline: sonnet-4-5 → qwen2.5-7b", 6)]
)  # fmt: skip
def test_recorded_harm_is_found_and_two_trials_of_one_version_are_not(start: str, harm: int):
    pair = next(one for one in traces.PAIRS if one.name.startswith(start))
    found = traces.find(pair, seeds=6, live=False)
    assert len(found.harm_at) == harm


@pytest.mark.slow
def test_the_table_is_what_the_script_finds():
    """If not: python benchmarks/judge_traces.py --write docs/judge.md. Each other row will do."""
    text = PAGE.read_text(encoding="utf-8")
    shown = text.partition(traces.BEGIN)[2].partition(traces.END)[0].strip().splitlines()
    found = traces.table([traces.find(pair) for pair in traces.PAIRS[::2]]).splitlines()
    rows = len(traces.PAIRS)
    assert shown[:-rows] + shown[-rows::2] == found


@pytest.mark.slow
def test_versions_held_against_themselves_are_seldom_harm():
    alarms, count = traces.split(20)
    assert count == 180
    assert alarms <= 9


def test_the_pictures_are_what_the_script_draws():
    """If not: python benchmarks/judge_plots.py."""
    for name, picture in plots.pictures().items():
        shown = (ROOT / "docs" / name).read_text(encoding="utf-8")
        assert NUMBER.sub("#", shown) == NUMBER.sub("#", picture), name
        pairs = zip(NUMBER.findall(shown), NUMBER.findall(picture), strict=True)
        assert all(abs(float(a) - float(b)) < 0.5 for a, b in pairs), name


def test_the_operating_picture_is_of_what_was_measured(tmp_path: Path):
    file = tmp_path / "measured.json"
    file.write_text(
        '{"curves": [{"rule": "judge", "weight": 0.25, "points": ['
        '{"canary_completion": 0.9, "median_tasks": 1300, "detected_share": 1.0},'
        '{"canary_completion": 0.93, "median_tasks": 9000, "detected_share": 0.3}]}]}'
    )
    picture = ET.fromstring(plots.operating(file))  # noqa: S314 - our own
    said = " ".join(picture.itertext())
    assert "canary weight 25 %" in said
    assert "judge at 25 %: 0.90 after 1 300, 0.93 after more than half are missed" in said


def test_every_picture_and_link_of_the_page_is_there():
    for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", PAGE.read_text(encoding="utf-8")):
        assert (PAGE.parent / target).exists(), target
